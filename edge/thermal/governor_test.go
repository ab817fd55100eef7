package thermal

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// tree makes zones by kind and temperature, in thousandths of a degree, and returns its
// root and a way to change the temperature of the first.
func tree(t *testing.T, zones ...string) (root string, set func(celsius float64)) {
	t.Helper()
	root = t.TempDir()
	for i, z := range zones {
		dir := filepath.Join(root, fmt.Sprintf("thermal_zone%d", i))
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		kind, temp, _ := strings.Cut(z, " ")
		for name, text := range map[string]string{"type": kind, "temp": temp} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	return root, func(celsius float64) {
		if err := os.WriteFile(filepath.Join(root, "thermal_zone0", "temp"), fmt.Appendf(nil, "%d\n", int(celsius*1000)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestReplay follows a trace that rises from 60 to 85 degrees, stays and falls back, with a
// wave and noise as devices have them: the duty falls before 80, there are no more than
// two changes in any minute, and in the end all of the time is for work again.
func TestReplay(t *testing.T) {
	for _, rise := range []time.Duration{30 * time.Second, 5 * time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			root, set := tree(t, "cpu-thermal 60000")
			var changes []time.Time
			var duties []float64
			g := New(Config{Limit: 80, Root: root, Changed: func(s State) {
				changes, duties = append(changes, time.Now()), append(duties, s.Duty)
			}})
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan struct{})
			go func() { g.Run(ctx); close(done) }()
			at80 := -1.0
			replay := func(from, to float64, d time.Duration) {
				for at := time.Duration(0); at < d; at += 2 * time.Second {
					c := from + (to-from)*at.Seconds()/d.Seconds()
					wave := 1.5 * float64(int(at.Seconds())%20-10) / 10
					set(c + wave)
					if c >= 80 && at80 < 0 {
						at80 = g.State().Duty
					}
					time.Sleep(2 * time.Second)
				}
			}
			time.Sleep(time.Second) // what is written and read at the same instant may be neither
			replay(60, 60, time.Minute)
			if len(changes) > 0 {
				t.Errorf("at 60 degrees the duty changed to %v", duties)
			}
			replay(60, 85, rise)
			replay(85, 85, 10*time.Minute)
			if d := g.State().Duty; d > least+1e-9 {
				t.Errorf("after ten minutes of 85 degrees the duty is %v", d)
			}
			steady := len(changes)
			replay(85, 60, rise)
			replay(60, 60, 10*time.Minute)
			cancel()
			<-done
			if at80 < 0 || at80 >= 1 {
				t.Errorf("rise in %v: at 80 degrees the duty was %v", rise, at80)
			}
			for i := range changes {
				if i >= 2 && changes[i].Sub(changes[i-2]) < time.Minute {
					t.Errorf("three changes within %v: %v", changes[i].Sub(changes[i-2]), duties)
				}
				if i > 0 && i < steady && duties[i] > duties[i-1] {
					t.Errorf("the duty rose while it became hotter: %v", duties)
				}
				if i > steady && duties[i] < duties[i-1] {
					t.Errorf("the duty fell while it cooled: %v", duties)
				}
			}
			if s := g.State(); s.Duty != 1 {
				t.Errorf("in the end: %v", s)
			}
		})
	}
}

// TestHolds closes the loop: a device that would reach 95 degrees at full work stays below
// the limit, and its duty comes to rest.
func TestHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		root, set := tree(t, "cpu-thermal 50000")
		n := 0
		g := New(Config{Limit: 80, Root: root, Changed: func(State) { n++ }})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { g.Run(ctx); close(done) }()
		c, most := 50.0, 0.0
		last := 0
		time.Sleep(time.Second / 2)
		for i := range 3600 {
			// Newton's law of cooling: 40 degrees idle, 95 at full work, in some 90 s.
			c += (40 + 55*g.State().Duty - c) / 90
			if i%2 == 0 {
				set(c)
			}
			most = max(most, c)
			if i == 1800 {
				last = n
			}
			time.Sleep(time.Second)
		}
		cancel()
		<-done
		if most >= 80 || n-last > 2 {
			t.Errorf("reached %.1f degrees; %d changes in the last half hour", most, n-last)
		}
	})
}

func TestZones(t *testing.T) {
	for _, c := range []struct {
		zones []string
		want  State
	}{
		{nil, State{Duty: 1}},
		{[]string{"cpu-thermal 51234"}, State{Celsius: 51.234, Zone: "cpu-thermal", Duty: 1}},
		{[]string{"PMIC-Die 100000", "CPU-therm 41000", "GPU-therm 60000", "soc0-thermal 45500"}, State{Celsius: 45.5, Zone: "soc0-thermal", Duty: 1}},
		{[]string{"acpitz 27800", "PMIC-Die 100000"}, State{Celsius: 27.8, Zone: "acpitz", Duty: 1}},
		{[]string{"cpu-thermal hot", "cpu-thermal -274000", "cpu-thermal 400000000"}, State{Duty: 1}},
	} {
		root, _ := tree(t, c.zones...)
		if s := New(Config{Root: root}).State(); s != c.want {
			t.Errorf("%q: %+v, want %+v", c.zones, s, c.want)
		}
	}
}

// TestUnread: a device whose sensor fails keeps its duty, and one without a limit works.
func TestUnread(t *testing.T) {
	root, set := tree(t, "cpu-thermal 79000")
	g := New(Config{Limit: 80, Root: root})
	s, changed := g.step()
	if !changed || s.Duty >= 0.3 {
		t.Errorf("%v", s)
	}
	if err := os.Remove(filepath.Join(root, "thermal_zone0", "temp")); err != nil {
		t.Fatal(err)
	}
	if u, changed := g.step(); changed || u.Duty != s.Duty || u.Zone != "" {
		t.Errorf("%v", u)
	}
	set(120)
	free := New(Config{Root: root})
	if s, changed := free.step(); changed || s.Duty != 1 {
		t.Errorf("%v", s)
	}
}

// TestHold: another limit is held from the next reading on.
func TestHold(t *testing.T) {
	root, _ := tree(t, "cpu-thermal 75000")
	g := New(Config{Root: root})
	if s, changed := g.step(); changed || s.Duty != 1 {
		t.Errorf("without a limit: %+v", s)
	}
	g.Hold(80)
	if s, changed := g.step(); !changed || s.Duty >= 1 || s.Limit != 80 {
		t.Errorf("with one: %+v", s)
	}
}
