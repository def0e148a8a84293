// Reads a JSON object from standard input and prints its numbers twice, one line each: as `any`,
// and as json.Number.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
)

func main() {
	text, err := io.ReadAll(os.Stdin)
	if err != nil {
		panic(err)
	}
	doubles, digits := map[string]any{}, map[string]any{}
	if err := json.Unmarshal(text, &doubles); err != nil {
		panic(err)
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(&digits); err != nil {
		panic(err)
	}
	for _, object := range []map[string]any{doubles, digits} {
		line, err := json.Marshal(object)
		if err != nil {
			panic(err)
		}
		fmt.Println(string(line))
	}
}
