package fw

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/visualrwkv/edged/internal/faultdisk"
)

// A device runs version 1 of a bundle. Version 2 is installed, as often as it takes but five times at most; it is started,
// six times; what is in use is then given up by hand, if the row is about that. In each cell one step goes
// wrong: it fails, or the process is killed just before it, once or whenever the step is reached.

// step is where a cell goes wrong: the n-th time that a command does op to a path, or begins
// what is no operation of the disk.
type step struct {
	command, op, path string
	n                 int
}

// row is a step, in words and the state in which it is made.
type row struct {
	state, what string
	step
	starts  int // that are killed on trial before
	stops   int // that are told to stop on trial
	crashes int // that end by themselves
}

var matrix = []row{
	{"none", "an installation is begun: the state says so", step{"install", "rename", "state.json.tmp", 1}, 0, 0, 0},
	{"installing", "the bundle is read or downloaded", step{"install", "download", "", 6}, 0, 0, 0},
	{"installing", "a piece of it is verified", step{"install", "verify", "", 1}, 0, 0, 0},
	{"installing", "a file is made", step{"install", "create", "b/demo.gguf~", 1}, 0, 0, 0},
	{"installing", "a file is written", step{"install", "write", "b/demo.gguf~", 1}, 0, 0, 0},
	{"installing", "a file is synced", step{"install", "sync", "b/demo.gguf~", 1}, 0, 0, 0},
	{"installing", "a file gets its name", step{"install", "rename", "b/demo.gguf~", 1}, 0, 0, 0},
	{"installing", "names of files are synced", step{"install", "syncdir", "b", 1}, 0, 0, 0},
	{"installing", "the manifest is written", step{"install", "rename", "b/manifest.json.tmp", 1}, 0, 0, 0},
	{"installing", "the state says that it is ready", step{"install", "rename", "state.json.tmp", 2}, 0, 0, 0},
	{"ready", "the state is read at a start", step{"run", "read", "state.json", 1}, 0, 0, 0},
	{"ready", "the first start is counted", step{"run", "rename", "state.json.tmp", 1}, 0, 0, 0},
	{"trying", "its files are checked", step{"run", "read", "b/demo.gguf", 1}, 0, 0, 0},
	{"trying", "the model is opened", step{"run", "open the model", "", 1}, 0, 0, 0},
	{"trying", "it captions simulated pictures", step{"run", "smoke", "", 1}, 0, 0, 0},
	{"trying", "it watches until its first caption", step{"run", "serve", "", 1}, 0, 0, 0},
	{"trying", "the second start is counted", step{"run", "rename", "state.json.tmp", 1}, 1, 0, 0},
	{"trying", "the third start is counted", step{"run", "rename", "state.json.tmp", 1}, 2, 0, 0},
	{"trying", "it is told to stop: the start is taken back", step{"stop", "rename", "state.json.tmp", 1}, 0, 4, 0},
	{"trying", "it is given up after three starts", step{"run", "rename", "state.json.tmp", 1}, 3, 0, 0},
	{"trying", "it is given up after a crash", step{"run", "rename", "state.json.tmp", 1}, 0, 0, 1},
	{"trying", "it is given up after ten times of being told to stop", step{"run", "rename", "state.json.tmp", 1}, 0, MaxStops, 0},
	{"trying", "it is committed", step{"run", "rename", "state.json.tmp", 2}, 0, 0, 0},
	{"trying", "it does not work and is given up", step{"give up", "rename", "state.json.tmp", 1}, 0, 0, 0},
	{"good", "its files are looked for at a start", step{"run again", "open", "b/demo.gguf", 1}, 0, 0, 0},
	{"good", "the state says that it is given up by hand", step{"rollback", "rename", "state.json.tmp", 1}, 0, 0, 0},
}

// cell is one way for a step to go wrong.
type cell struct {
	row
	kill, always bool

	d        *faultdisk.Disk
	command  string
	count    map[step]int // of what the present command did
	reached  int          // how often the step was
	killing  int          // starts on trial that are still to be killed
	stopping int          // and to be told to stop
	crashing int          // and to crash
	crashed  string       // why, once one has
	runs     string       // version, at the last start
}

// do is called before each operation of the disk, and for what else can go wrong.
func (c *cell) do(op, path string) error {
	s := step{c.command, op, strings.TrimPrefix(strings.TrimPrefix(path, folder), "/"), 0}
	c.count[s]++
	s.n = c.count[s]
	if s != c.step || c.killing > 0 || c.crashing > 0 || c.stopping > 0 && c.command == "run" {
		return nil
	}
	if c.reached++; c.reached > 1 && !c.always {
		return nil
	}
	if c.kill {
		panic(dies{})
	}
	return syscall.EIO
}

// process is one run of a command. It reports whether that was killed.
func (c *cell) process(command string, f func() error) (err error, killed bool) {
	c.command, c.count = command, map[step]int{}
	killed = ends(func() { err = f() })
	return err, killed
}

// passing hands a bundle on, and damages it where verifying it is to fail.
type passing struct {
	r io.Reader
	c *cell
}

func (p *passing) Read(b []byte) (int, error) {
	if err := p.c.do("download", ""); err != nil {
		return 0, err
	}
	n, err := p.r.Read(b)
	if n == 1536 { // the model, with what it is padded with
		if p.c.do("verify", "") != nil {
			b[0] ^= 1
		}
	}
	return n, err
}

// boot is what "edged run" does with the slots; that it does is tested there, with processes.
func (c *cell) boot(t *testing.T) error {
	s, _ := OpenStore(c.d, folder)
	crashed := c.crashed
	c.crashed = "" // whoever is killed leaves no word
	i, _ := s.Start(t.Context(), crashed)
	if i == nil || !i.Trial {
		c.run(i)
		return nil
	}
	if c.killing > 0 {
		c.killing--
		panic(dies{})
	}
	if c.crashing > 0 {
		c.crashing--
		c.crashed = "SIGSEGV"
		panic(dies{})
	}
	if c.stopping > 0 {
		c.stopping--
		c.run(i)
		c.command, c.count = "stop", map[step]int{}
		return s.Stop()
	}
	for _, what := range []string{"open the model", "smoke", "serve"} {
		err := c.do(what, "")
		if c.step.command == "give up" { // of all that is tried
			c.command, c.count, err = "give up", map[step]int{}, syscall.ENOEXEC
		}
		if err != nil {
			if err := s.Rollback(what + ": " + err.Error()); err != nil {
				before, _ := s.Active() // what is in the slots would be tried once more
				c.run(before)
				return err
			}
			i, err := s.Start(t.Context(), "")
			c.run(i)
			return err
		}
	}
	err := s.Commit()
	c.run(i)
	return err
}

func (c *cell) run(i *Installed) {
	if c.runs = "the binary's"; i != nil {
		c.runs = fmt.Sprint(i.Manifest.Version)
	}
}

// end makes the cell happen, and says where it ends.
func (c *cell) end(t *testing.T, one, two []byte) string {
	t.Helper()
	trusted := keys(t, "minisign.pub")
	c.d = faultdisk.New()
	heals(t, c.d, one, trusted, 1)
	c.killing, c.stopping, c.crashing = c.starts, c.stops, c.crashes
	c.d.Fault = c.do
	for range 5 {
		if err, killed := c.process("install", func() error {
			s, err := OpenStore(c.d, folder)
			if err != nil {
				return err
			}
			b, err := Open(&passing{bytes.NewReader(two), c}, trusted)
			if err != nil {
				return err
			}
			return s.Install(b, &InstallOptions{})
		}); !killed && (err == nil || errors.Is(err, ErrInstalled)) {
			break
		}
	}
	command := "run"
	for range 6 + c.stops {
		c.runs = "none"
		c.process(command, func() error { return c.boot(t) })
		if c.runs == "the binary's" && c.op != "read" {
			t.Errorf("%s: the binary's model runs, and version 1 is whole", c.what)
		}
		if store(t, c.d).State().B.Phase == PhaseGood {
			command = "run again"
		}
	}
	if c.step.command == "rollback" {
		for range 5 {
			if err, killed := c.process("rollback", func() error { return store(t, c.d).Rollback("asked for") }); err == nil && !killed {
				break
			}
		}
	}
	c.d.Fault = nil
	if c.reached == 0 {
		t.Fatalf("%+v was never reached", c.step)
	}
	phase := store(t, c.d).State().B.Phase
	if phase == PhaseEmpty {
		phase = "none"
	}
	if c.step.command == "rollback" {
		must(t, c.boot(t))
	}
	heals(t, c.d, makeVersion(t, 9, 0), trusted, 9)
	return fmt.Sprintf("%s, %s", c.runs, phase)
}

// TestMatrix makes each step of an installation and a trial go wrong in each way, and looks for where that
// ends in the table of docs/bundle.md: the version that runs, and what the slot of version 2 is.
func TestMatrix(t *testing.T) {
	if testing.Short() {
		t.Skip("one goroutine's work at length")
	}
	one, two := makeVersion(t, 1, 0), makeVersion(t, 2, 0)
	var table strings.Builder
	table.WriteString("| slot | step | fails once | fails always | killed once | killed always |\n|---|---|---|---|---|---|\n")
	for _, r := range matrix {
		fmt.Fprintf(&table, "| %s | %s |", r.state, r.what)
		for _, kill := range []bool{false, true} {
			for _, always := range []bool{false, true} {
				c := &cell{row: r, kill: kill, always: always}
				fmt.Fprintf(&table, " %s |", c.end(t, one, two))
			}
		}
		table.WriteString("\n")
	}
	doc, err := os.ReadFile("../docs/bundle.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(doc), table.String()) {
		t.Errorf("docs/bundle.md does not say where each fault ends:\n%s", &table)
	}
}
