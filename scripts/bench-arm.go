//go:build ignore

// Draws "instructions per weight by CPU" from what bench-arm.py counted:
//
//	go run scripts/bench-arm.go scripts/bench-arm.json docs/instructions.svg
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"os"

	"github.com/visualrwkv/edged/vlm/bench/plot"
	"github.com/visualrwkv/edged/weights"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) != 3 {
		log.Fatal("usage: bench-arm.go FIGURES.json PLOT.svg")
	}
	if err := draw(os.Args[1], os.Args[2]); err != nil {
		log.Fatal("bench-arm.go: ", err)
	}
}

func draw(figures, svg string) error {
	data, err := os.ReadFile(figures)
	if err != nil {
		return err
	}
	var value map[string]float64
	if err := json.Unmarshal(data, &value); err != nil {
		return fmt.Errorf("%s: %w", figures, err)
	}
	chart := plot.Bars{Title: "Instructions per weight and token, RWKV-6 0.19B", Y: "all instructions of a process with one thread, counted under qemu"}
	cpus := [][2]string{{"cortex-a72", "Cortex-A72: no dot product"}, {"cortex-a76", "Cortex-A76: SDOT"}, {"max", "newer: SDOT and SMMLA"}}
	for _, cpu := range cpus {
		chart.Groups = append(chart.Groups, cpu[1])
	}
	for _, what := range []string{"decode int8", "decode int4", "prefill int8"} {
		s := plot.Series{Name: what}
		for _, cpu := range cpus {
			name := "whole " + cpu[0] + " " + what + ", per weight"
			v, ok := value[name]
			if !ok {
				return fmt.Errorf("%s: no %q", figures, name)
			}
			s.Y = append(s.Y, v)
		}
		chart.Series = append(chart.Series, s)
	}
	return weights.WriteFile(svg, chart.WriteSVG)
}
