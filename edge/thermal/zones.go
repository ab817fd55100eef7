package thermal

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Root is where the kernel shows its thermal zones.
const Root = "/sys/class/thermal"

// zone is a place whose temperature the kernel knows.
type zone struct {
	kind string // cpu-thermal, x86_pkg_temp
	path string // of the file with the temperature in thousandths of a degree
}

// processor are parts of the kinds of zones that computing heats: cpu-thermal (Raspberry
// Pi), CPU-therm and soc0-thermal (Jetson), x86_pkg_temp, cpu_thermal, k10temp.
var processor = []string{"cpu", "soc", "pkg", "core", "k10temp"}

// find returns the zones of the processor below root; where none is called so, all but
// those of power supplies, of which some show one number for ever (PMIC-Die of Jetson: 100).
func find(root string) []zone {
	paths, _ := filepath.Glob(filepath.Join(root, "thermal_zone*", "temp")) // the pattern is good
	var hot, rest []zone
	for _, p := range paths {
		z := zone{path: p}
		if kind, err := os.ReadFile(filepath.Join(filepath.Dir(p), "type")); err == nil {
			z.kind = strings.TrimSpace(string(kind))
		}
		switch lower := strings.ToLower(z.kind); {
		case containsAny(lower, processor):
			hot = append(hot, z)
		case !strings.Contains(lower, "pmic"):
			rest = append(rest, z)
		}
	}
	if len(hot) == 0 {
		return rest
	}
	return hot
}

func containsAny(s string, parts []string) bool {
	for _, p := range parts {
		if strings.Contains(s, p) {
			return true
		}
	}
	return false
}

// read returns the temperature in degrees Celsius; false when there is none to be had, as of
// sensors that sleep, or it is no temperature at which a processor runs.
func (z zone) read() (float64, bool) {
	data, err := os.ReadFile(z.path)
	if err != nil {
		return 0, false
	}
	milli, err := strconv.ParseInt(strings.TrimSpace(string(data)), 10, 64)
	c := float64(milli) / 1000
	return c, err == nil && c > -50 && c < 150
}
