// Asks a scaler as KEDA does: for the metrics and their targets, the values, and whether there should
// be any replica, once and then by a stream. Prints an object of JSON for each answer, and the status
// at the end of the stream.
//
//	keda ADDRESS KEY=VALUE …
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/kedacore/keda/v2/pkg/scalers/externalscaler"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

func main() {
	connection, err := grpc.NewClient(os.Args[1],
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	check(err)
	client, ctx := externalscaler.NewExternalScalerClient(connection), context.Background()
	trigger := &externalscaler.ScaledObjectRef{
		Name: "workers", Namespace: "default", ScalerMetadata: map[string]string{},
	}
	for _, pair := range os.Args[2:] {
		key, value, _ := strings.Cut(pair, "=")
		trigger.ScalerMetadata[key] = value
	}

	specs, err := client.GetMetricSpec(ctx, trigger)
	check(err)
	for _, spec := range specs.MetricSpecs {
		tell("target", spec.MetricName, spec.TargetSizeFloat)
		values, err := client.GetMetrics(ctx, &externalscaler.GetMetricsRequest{
			ScaledObjectRef: trigger, MetricName: spec.MetricName,
		})
		check(err)
		for _, value := range values.MetricValues {
			tell("value", value.MetricName, value.MetricValueFloat)
		}
	}
	active, err := client.IsActive(ctx, trigger)
	check(err)
	tell("active", active.Result)

	stream, err := client.StreamIsActive(ctx, trigger)
	check(err)
	for {
		message, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			tell("end", "OK")
			return
		}
		if err != nil {
			tell("end", status.Code(err).String())
			return
		}
		tell("stream", message.Result)
	}
}

func tell(values ...any) {
	line, err := json.Marshal(values)
	check(err)
	fmt.Println(string(line))
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
