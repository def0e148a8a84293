package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
)

var input = bufio.NewReader(os.Stdin)

// turn is a measured program's side of the talk with the harness, as bench/turn.py says it in
// Python: `ready`, a line to wait for, one line of JSON, and staying until the input is closed.
func turn() {
	fmt.Println("ready")
	_, _ = input.ReadString('\n') // an input that is closed is leave to begin, too
}

func answer(result any) error {
	if err := json.NewEncoder(os.Stdout).Encode(result); err != nil {
		return err
	}
	_, err := io.Copy(io.Discard, input)
	return err
}

// throughput is the answer of creates and drains. InAll counts the jobs worked while costs are read.
type throughput struct {
	Jobs    int     `json:"jobs"`
	Seconds float64 `json:"seconds"`
	InAll   int     `json:"in_all"`
}

type latencies struct {
	Milliseconds []float64 `json:"milliseconds"`
	InAll        int       `json:"in_all"`
}
