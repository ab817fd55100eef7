package affinity

import (
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/visualrwkv/edged/internal/emulated"
)

// asChild makes the test binary bind itself, since a process that is bound stays it.
const asChild = "EDGED_TEST_AFFINITY"

func TestMain(m *testing.M) {
	if list := os.Getenv(asChild); list != "" {
		cpus, err := Parse(list)
		if err == nil {
			err = Set(cpus)
		}
		if err != nil {
			os.Stdout.WriteString(err.Error())
			os.Exit(0)
		}
		os.Stdout.WriteString(bound(len(cpus)))
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// bound says what is wrong in a process that should have n CPUs, on threads that are
// there already and on new ones.
func bound(n int) string {
	if p := runtime.GOMAXPROCS(0); p != n {
		return "GOMAXPROCS is wrong"
	}
	wrong := make(chan bool)
	for range 8 {
		go func() {
			runtime.LockOSThread() // ends with its thread, so that each has its own
			var set unix.CPUSet
			err := unix.SchedGetaffinity(0, &set)
			wrong <- err != nil || set.Count() != n
		}()
	}
	for range 8 {
		if <-wrong {
			return "a thread has other CPUs"
		}
	}
	return "bound"
}

func TestSet(t *testing.T) {
	if testing.Short() {
		t.Skip("starts this program again, which an emulator may not be able to")
	}
	emulated.SkipProcess(t)
	var all unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		t.Skip(err)
	}
	first := 0
	for !all.IsSet(first) {
		first++
	}
	for list, want := range map[string]string{
		strconv.Itoa(first): "bound",
		"1023":              "CPU 1023 is not one that this process may use",
	} {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), asChild+"="+list, "GOMAXPROCS=")
		out, err := cmd.Output()
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("%s: %q, %v, want %q", list, out, err, want)
		}
	}
}
