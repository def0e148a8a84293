package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
)

var input = bufio.NewReader(os.Stdin)

// waitForStart and sendResult are a measured program's side of the line protocol with the benchmark,
// as bench/measure/protocol.py has it in Python: `ready`, a line to wait for, one line of JSON, and
// staying until the input is closed.
func waitForStart() {
	fmt.Println("ready")
	_, _ = input.ReadString('\n') // an input that is closed starts the work, too
}

func sendResult(result any) error {
	if err := json.NewEncoder(os.Stdout).Encode(result); err != nil {
		return err
	}
	_, err := io.Copy(io.Discard, input)
	return err
}

// throughput is the result of creates and drains. InAll counts the jobs worked while costs are read.
type throughput struct {
	Jobs    int     `json:"jobs"`
	Seconds float64 `json:"seconds"`
	InAll   int     `json:"in_all"`
}

type latencies struct {
	Milliseconds []float64 `json:"milliseconds"`
	InAll        int       `json:"in_all"`
}
