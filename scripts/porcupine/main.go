// Reads histories as JSON lines (src/checkers/history-lines.ts), one register for each key, and prints whether Porcupine
// (https://github.com/anishathalye/porcupine) finds each linearizable: `{"key":"b/k","isLinearizable":true}`.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math"
	"os"

	"github.com/anishathalye/porcupine"
)

type line struct {
	Proc string  `json:"proc"`
	Type string  `json:"type"`
	Op   string  `json:"op"`
	Key  string  `json:"key"`
	T    float64 `json:"t"`
	ID   int     `json:"id"`
	Arg  struct {
		Value         *string `json:"value"`
		Expected      *string `json:"expected"`
		IsConditional bool    `json:"isConditional"`
	} `json:"arg"`
	Ret *struct {
		Versions []struct {
			Value *string `json:"value"`
		} `json:"versions"`
		HasSwapped *bool `json:"hasSwapped"`
	} `json:"ret"`
}

// What a call wants; an empty text stands for no value, which no client writes.
type input struct {
	kind     string
	value    string
	expected string
}

type output struct {
	isKnown    bool
	value      string
	hasSwapped bool
}

func textOf(value *string) string {
	if value == nil {
		return ""
	}
	return *value
}

func inputOf(l line) input {
	kind := l.Op
	if l.Op == "put" && l.Arg.IsConditional {
		kind = "swap"
	}
	return input{kind, textOf(l.Arg.Value), textOf(l.Arg.Expected)}
}

func outputOf(l line) output {
	out := output{isKnown: true, hasSwapped: true}
	if l.Ret.HasSwapped != nil {
		out.hasSwapped = *l.Ret.HasSwapped
	}
	if len(l.Ret.Versions) > 0 {
		out.value = textOf(l.Ret.Versions[0].Value)
	}
	return out
}

// A call of unknown outcome ends after everything else: a write can always be put there, where nobody is left to see it.
func step(state, in, out interface{}) (bool, interface{}) {
	value, call, told := state.(string), in.(input), out.(output)
	switch call.kind {
	case "get":
		return !told.isKnown || told.value == value, value
	case "put":
		return true, call.value
	case "delete":
		return true, ""
	}
	isExpected := call.expected == value
	if told.isKnown && told.hasSwapped != isExpected {
		return false, value
	}
	if isExpected {
		return true, call.value
	}
	return true, value
}

func main() {
	registers := map[string][]porcupine.Operation{}
	open := map[string]map[int]line{}
	keys := []string{}
	scanner := bufio.NewScanner(os.Stdin)
	scanner.Buffer(make([]byte, 1<<20), 1<<26)
	for scanner.Scan() {
		var l line
		if err := json.Unmarshal(scanner.Bytes(), &l); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
		if open[l.Key] == nil {
			open[l.Key] = map[int]line{}
			keys = append(keys, l.Key)
		}
		if l.Type == "invoke" {
			open[l.Key][l.ID] = l
			continue
		}
		start := open[l.Key][l.ID]
		if l.Type == "info" {
			continue
		}
		delete(open[l.Key], l.ID)
		if l.Type == "ok" {
			call := porcupine.Operation{Input: inputOf(start), Call: nanos(start.T), Output: outputOf(l), Return: nanos(l.T)}
			registers[l.Key] = append(registers[l.Key], call)
		}
	}
	model := porcupine.Model{Init: func() interface{} { return "" }, Step: step, Equal: func(a, b interface{}) bool { return a == b }}
	for _, key := range keys {
		calls := registers[key]
		for _, start := range open[key] {
			calls = append(calls, porcupine.Operation{Input: inputOf(start), Call: nanos(start.T), Output: output{}, Return: math.MaxInt64})
		}
		verdict, _ := json.Marshal(map[string]interface{}{"key": key, "isLinearizable": porcupine.CheckOperations(model, calls)})
		fmt.Println(string(verdict))
	}
}

func nanos(ms float64) int64 {
	return int64(math.Round(ms * 1e6))
}
