package reconnect

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
)

// security returns how to connect, by the variables that the jobsvc command reads too: JOBSVC_TLS,
// JOBSVC_CA, JOBSVC_CERT and JOBSVC_KEY for TLS, JOBSVC_TOKEN or JOBSVC_TOKEN_FILE for who calls.
func security() ([]grpc.DialOption, error) {
	options := []grpc.DialOption{grpc.WithPerRPCCredentials(bearer{})}
	ca, cert, key := os.Getenv("JOBSVC_CA"), os.Getenv("JOBSVC_CERT"), os.Getenv("JOBSVC_KEY")
	if ca == "" && cert == "" && os.Getenv("JOBSVC_TLS") == "" {
		return append(options, grpc.WithTransportCredentials(insecure.NewCredentials())), nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if ca != "" {
		pem, err := os.ReadFile(ca)
		if err != nil {
			return nil, err
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s has no certificate", ca)
		}
	}
	if cert != "" {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return nil, err
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return append(options, grpc.WithTransportCredentials(credentials.NewTLS(config))), nil
}

// bearer adds the token to every call and stream. A file is read each time, since it is replaced
// before its token ends.
type bearer struct{}

func (bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	token := os.Getenv("JOBSVC_TOKEN")
	if path := os.Getenv("JOBSVC_TOKEN_FILE"); token == "" && path != "" {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		token = strings.TrimSpace(string(text))
	}
	if token == "" {
		return nil, nil
	}
	return map[string]string{"authorization": "Bearer " + token}, nil
}

// RequireTransportSecurity returns false: on one machine there may be no TLS.
func (bearer) RequireTransportSecurity() bool { return false }

// hasNextToken reports whether there may be another token the next time.
func hasNextToken() bool {
	return os.Getenv("JOBSVC_TOKEN") == "" && os.Getenv("JOBSVC_TOKEN_FILE") != ""
}
