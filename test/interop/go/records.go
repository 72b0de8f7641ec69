// Prints records as Go services write them, by encoding/json on structs like those of the projects. The file has a line for each: a JSON
// object of what the record is to say, and in which way. Uses nothing but Go's own library.
//
//	records <file>
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
)

type facts struct {
	Way, Address, ID, Name, Version string
	Weight                          int
	Metadata                        map[string]string
	Endpoints                       []string
	Text                            string
}

// endpoint is etcd's naming/endpoints.Endpoint with the operation before it.
type endpoint struct {
	Op       int
	Addr     string
	Metadata interface{}
}

type kratos struct {
	ID        string            `json:"id"`
	Name      string            `json:"name"`
	Version   string            `json:"version"`
	Metadata  map[string]string `json:"metadata"`
	Endpoints []string          `json:"endpoints"`
}

type kitex struct {
	Network string            `json:"network"`
	Address string            `json:"address"`
	Weight  int               `json:"weight"`
	Tags    map[string]string `json:"tags"`
}

func record(f facts) interface{} {
	switch f.Way {
	case "naming":
		return endpoint{Addr: f.Address, Metadata: f.Text}
	case "naming object":
		return endpoint{Addr: f.Address, Metadata: f.Metadata}
	case "kratos":
		return kratos{f.ID, f.Name, f.Version, f.Metadata, f.Endpoints}
	default:
		return kitex{"tcp", f.Address, f.Weight, f.Metadata}
	}
}

func main() {
	file, err := os.Open(os.Args[1])
	if err != nil {
		fail(err)
	}
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var f facts
		if err := json.Unmarshal(lines.Bytes(), &f); err != nil {
			fail(err)
		}
		text, err := json.Marshal(record(f))
		if err != nil {
			fail(err)
		}
		fmt.Println(string(text))
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
