package affinity

import (
	"slices"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for list, want := range map[string][]int{
		"0": {0}, "3,1": {3, 1}, "0-3,6": {0, 1, 2, 3, 6}, " 2 , 4-5": {2, 4, 5}, "7-7": {7}, "1023": {1023},
	} {
		if got, err := Parse(list); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %v, %v, want %v", list, got, err, want)
		}
	}
	for list, want := range map[string]string{
		"": "not a number", "a": `"a" is not a number`, "1,": "not a number", "3-1": "backwards", "1,0-2": "1 is named twice",
		"1024": "not in 0 to 1023", "-1": "not a number", "0-99999999": "not in 0", "1-2-3": `"2-3" is not a number`,
	} {
		if got, err := Parse(list); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, error %v, want %q in it", list, got, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, list := range []string{"0-3,6", "0", "1023", "", "-", "5-2", "0-1023"} {
		f.Add(list)
	}
	f.Fuzz(func(t *testing.T, list string) {
		cpus, err := Parse(list)
		if (err == nil) != (len(cpus) > 0) || len(cpus) > maxCPU {
			t.Fatalf("%q: %d CPUs, error %v", list, len(cpus), err)
		}
		for _, c := range cpus {
			if c < 0 || c >= maxCPU {
				t.Fatalf("%q: CPU %d", list, c)
			}
		}
	})
}
