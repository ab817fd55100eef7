package main

import (
	"bytes"
	"context"
	"fmt"
	"image/jpeg"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/visualrwkv/edged/camera/sim"
	"github.com/visualrwkv/edged/client"
	"github.com/visualrwkv/edged/edge/config"
	"github.com/visualrwkv/edged/wire"
)

// How long edged runs under faults: in every test run, and by "make soak" (EDGED_SOAK
// says for how long there). A fault a minute in all of four cameras would be a bad
// place; here there are a hundred, and the world goes twenty times as fast.
const (
	shortSoak  = 20 * time.Second
	worldRate  = 20 // instants of the room in a second
	faultEvery = 2 * time.Second
	faultLasts = 300 * time.Millisecond
)

// What memory may grow by, in MB a minute, and how often the time is run through until it
// does not. The heap is within a tenth of its goal, which is a fifth more than what is in
// use; steps of 2 or 3 MB within that made slopes of -0.1 to +0.2 in stretches of eight
// minutes of a run in which nothing grew for 24. What leaks grows in each stretch.
const (
	maxSlope   = 0.2
	soakRounds = 3
)

// TestRunSoak runs edged with a scene of four cameras that fail and come back, one of
// cameras that do not, questions, and clients of all kinds. Memory, goroutines and
// descriptors must not grow, and captions must not cease.
func TestRunSoak(t *testing.T) {
	needProcess(t)
	t.Parallel()
	length := shortSoak
	if s := os.Getenv("EDGED_SOAK"); s != "" {
		var err error
		if length, err = time.ParseDuration(s); err != nil {
			t.Skip("the long form is a target of its own: ", err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	site := newSite(t)
	dir := t.TempDir()
	conf := filepath.Join(dir, "c.yaml")
	if err := os.WriteFile(conf, []byte(site.configuration()), 0o600); err != nil {
		t.Fatal(err)
	}
	p := newProcessFor(t, soakRounds*length+processTime, "run", "-config", conf, "-state", filepath.Join(dir, "state"), "-socket", testSocket(t))
	m, environment := newManager(t, time.Minute)
	p.Env = append(p.Env, environment...)
	p.start(t)
	m.wait(t, "READY=1")
	go m.listen()

	s := &soakClients{t: t, socket: p.Args[len(p.Args)-1], site: site}
	first := s.quiet(ctx, p.Process.Pid)
	run, stop := context.WithCancel(ctx)
	s.begin(run)
	site.break_(run)
	begin := time.Now()
	// What a process takes in its first minute says little about the next month.
	judged := length >= 5*time.Minute
	slope := s.follow(ctx, p.Process.Pid, begin, length)
	for round := 1; round < soakRounds && judged && slope > maxSlope; round++ {
		slope = s.follow(ctx, p.Process.Pid, begin, length)
	}
	took := time.Since(begin).Round(time.Second)
	stop()
	s.all.Wait()
	last := s.quiet(ctx, p.Process.Pid)

	t.Logf("%v: %d faults, %d captions, %d answers (%d refused as too many), %d captions found in the log, %d other clients, %d times no place for one; resident %s to %s; goroutines %d to %d; descriptors %d to %d",
		took, site.faults.Load(), last.captions-first.captions, s.answers.Load(), s.busy.Load(), s.found.Load(), s.others.Load(), s.noPlace.Load(),
		size(first.rss), size(last.rss), first.goroutines, last.goroutines, first.files, last.files)
	if site.faults.Load() == 0 || s.answers.Load() == 0 || s.found.Load() == 0 || s.others.Load() == 0 {
		t.Error("something did not take part")
	}
	for _, scene := range []string{"faulty", "good"} {
		if last.frames[scene] <= first.frames[scene] {
			t.Errorf("scene %s saw nothing", scene)
		}
	}
	if last.captions <= first.captions {
		t.Error("no captions")
	}
	// A connection has two goroutines, and four cameras that were just broken have more or
	// fewer of them; what one fault in a hundred leaves behind would be more.
	const spare = 10
	if last.goroutines > first.goroutines+spare {
		t.Errorf("%d goroutines, %d before", last.goroutines, first.goroutines)
	}
	if last.files > first.files+spare {
		t.Errorf("%d descriptors, %d before", last.files, first.files)
	}
	if judged && slope > maxSlope {
		t.Errorf("memory grows by %.2f MB/min, want at most %v", slope, maxSlope)
	}
	f, err := config.Load(conf)
	if err != nil {
		t.Fatal(err)
	}
	model, err := openModel(f.Model, nil)
	if err != nil {
		t.Fatal(err)
	}
	if plan := planRAM(model, f, nil); last.rss > plan.total() {
		t.Errorf("%d bytes resident, planned: %v", last.rss, plan)
	}
	model.Close()
	if len(last.problems) > 0 {
		t.Errorf("problems: %q", last.problems)
	}
	p.Process.Signal(syscall.SIGTERM)
	if err := p.wait(); err != nil {
		t.Errorf("its end: %v", err)
	}
}

// site is four cameras of a simulated room, each behind an HTTP server that can be told
// to fail.
type site struct {
	pictures [][][]byte // [instant][camera], JPEG
	begin    time.Time
	server   *httptest.Server
	faults   atomic.Int64
	fault    [4]atomic.Pointer[fault]
}

// fault is a way to fail and, once closed, its end.
type fault struct {
	how  string
	over chan struct{}
}

var faultKinds = []string{"refuse", "close", "cut", "garbage", "hang"}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{begin: time.Now()}
	views := sim.NewRoom(1, 4, 0, false).Views()
	for range 64 {
		var instant [][]byte
		for _, v := range views {
			f, err := v.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			var b bytes.Buffer
			if err := jpeg.Encode(&b, f.Image, &jpeg.Options{Quality: 95}); err != nil {
				t.Fatal(err)
			}
			f.Release()
			instant = append(instant, b.Bytes())
		}
		s.pictures = append(s.pictures, instant)
	}
	s.server = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(s.server.Close)
	return s
}

// configuration has two streams and two servers of single pictures, and a room in edged.
// The disk's budget is so small that the log, whose share is a quarter, has all that it may
// keep before the first fifth of ten minutes is over, and then deletes as much as it writes.
func (s *site) configuration() string {
	return fmt.Sprintf(`
memory: {snapshot: 1s}
budgets: {disk: 1MiB, writes_per_day: 100GB, celsius: 0}
scenes:
- name: faulty
  interval: 50ms
  max_skew: 0s
  views:
  - {name: front, source: "%[1]s/stream/0"}
  - {name: side, source: "%[1]s/stream/1"}
  - {name: corner, source: "%[1]s/picture/2", rate: %[2]d}
  - {name: top, source: "%[1]s/picture/3", rate: %[2]d}
- name: good
  interval: 50ms
  views:
  - {name: front, source: "sim:2/front", rate: %[2]d}
  - {name: side, source: "sim:2/side", rate: %[2]d}
`, s.server.URL, worldRate)
}

func (s *site) picture(cam int) []byte {
	n := int(time.Since(s.begin) * worldRate / time.Second)
	return s.pictures[n%len(s.pictures)][cam]
}

func (s *site) serve(w http.ResponseWriter, r *http.Request) {
	kind, cam := r.URL.Path[1:len(r.URL.Path)-2], int(r.URL.Path[len(r.URL.Path)-1]-'0')
	if kind == "picture" {
		w.Header().Set("Content-Type", "image/jpeg")
		if !s.fails(w, r, cam, true) {
			w.Write(s.picture(cam))
		}
		return
	}
	w.Header().Set("Content-Type", "multipart/x-mixed-replace; boundary=frame")
	tick := time.NewTicker(time.Second / worldRate)
	defer tick.Stop()
	for first := true; !s.fails(w, r, cam, first); first = false {
		p := s.picture(cam)
		fmt.Fprintf(w, "--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n", len(p))
		w.Write(p)
		if _, err := io.WriteString(w, "\r\n"); err != nil {
			return
		}
		w.(http.Flusher).Flush()
		select {
		case <-tick.C:
		case <-r.Context().Done():
			return
		}
	}
}

// fails fails if the camera is told to; first says that nothing was sent yet.
func (s *site) fails(w http.ResponseWriter, r *http.Request, cam int, first bool) bool {
	f := s.fault[cam].Load()
	if f == nil {
		return false
	}
	switch f.how {
	case "refuse":
		if first {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	case "close":
		panic(http.ErrAbortHandler)
	case "cut":
		p := s.picture(cam)
		w.Write(p[:len(p)/2])
		panic(http.ErrAbortHandler)
	case "garbage":
		w.Write(bytes.Repeat([]byte{0xff, 0xd8, 0, 0xff}, 1000))
	case "hang":
		select {
		case <-f.over:
		case <-r.Context().Done():
		}
	}
	return true
}

// break_ lets the cameras fail, each on its own, until ctx ends.
func (s *site) break_(ctx context.Context) {
	for cam := range s.fault {
		rng := rand.New(rand.NewPCG(7, uint64(cam)))
		go func() {
			for sleepSoak(ctx, time.Duration(rng.ExpFloat64()*float64(faultEvery))) {
				f := &fault{faultKinds[rng.IntN(len(faultKinds))], make(chan struct{})}
				s.fault[cam].Store(f)
				s.faults.Add(1)
				sleepSoak(ctx, time.Duration(rng.ExpFloat64()*float64(faultLasts)))
				s.fault[cam].Store(nil)
				close(f.over)
			}
		}()
	}
}

func sleepSoak(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// soakClients are all that connect to edged during a soak.
type soakClients struct {
	t       *testing.T
	socket  string
	site    *site
	all     sync.WaitGroup
	answers atomic.Int64
	busy    atomic.Int64
	found   atomic.Int64
	others  atomic.Int64
	noPlace atomic.Int64 // times that there was no place for a client
}

// begin starts clients that ask, watch, do not read, say nothing, or say nonsense.
func (s *soakClients) begin(ctx context.Context) {
	for range 3 {
		s.all.Go(func() { s.ask(ctx) })
		s.all.Go(func() { s.watch(ctx) })
		s.all.Go(func() { s.stuck(ctx) })
		s.all.Go(func() { s.hostile(ctx) })
	}
	s.all.Go(func() { s.search(ctx) })
}

// dial connects. Where other work holds the
// machine up, clients come faster than those before them are seen off: then there may be no
// place for one, which is tried again.
func (s *soakClients) dial(ctx context.Context) (*client.Client, error) {
	for {
		c, err := client.Dial(ctx, s.socket, nil)
		if err == nil || wire.Code(err) != wire.CodeBusy || !sleepSoak(ctx, 50*time.Millisecond) {
			return c, err
		}
		s.noPlace.Add(1)
	}
}

// search looks into the log and at the snapshots.
func (s *soakClients) search(ctx context.Context) {
	c, err := s.dial(ctx)
	if err != nil {
		s.fail(ctx, "searching", err)
		return
	}
	defer c.Close()
	for sleepSoak(ctx, 200*time.Millisecond) {
		for e, err := range c.Search(ctx, &wire.Search{Within: 60e3, Match: "red|blue", Limit: 100, Newest: true}) {
			if err != nil {
				s.fail(ctx, "a search", err)
				return
			}
			if e.Event == wire.EventCaption {
				s.found.Add(1)
			}
		}
		if _, err := c.Snapshots(ctx, "good"); err != nil {
			s.fail(ctx, "snapshots", err)
			return
		}
	}
}

// fail fails the test unless the soak is over.
func (s *soakClients) fail(ctx context.Context, what string, err error) {
	if ctx.Err() == nil {
		s.t.Errorf("%s: %v", what, err)
	}
}

func (s *soakClients) ask(ctx context.Context) {
	c, err := s.dial(ctx)
	if err != nil {
		s.fail(ctx, "asking", err)
		return
	}
	defer c.Close()
	for n := 0; ctx.Err() == nil; n++ {
		a := &wire.Ask{Scene: []string{"good", "faulty"}[n%2], Question: "how many objects are there?"}
		switch n % 5 {
		case 3:
			a.At = time.Now().Add(-10 * time.Second).UnixMilli()
		case 4:
			a.Diff = time.Now().Add(-10 * time.Second).UnixMilli()
		}
		failed := false
		for _, err := range c.Ask(ctx, a) {
			if err == nil {
				continue
			}
			switch failed = true; wire.Code(err) {
			case wire.CodeBusy:
				s.busy.Add(1)
			case wire.CodeNotReady, wire.CodeNotKept:
			default:
				s.fail(ctx, "an answer", err)
				return
			}
		}
		if !failed {
			s.answers.Add(1)
		}
		sleepSoak(ctx, 100*time.Millisecond)
	}
}

func (s *soakClients) watch(ctx context.Context) {
	for ctx.Err() == nil {
		c, err := s.dial(ctx)
		if err != nil {
			s.fail(ctx, "watching", err)
			return
		}
		n := 0
		for _, err := range c.Watch(ctx, new(wire.Watch)) {
			if err != nil {
				s.fail(ctx, "a watch", err)
			}
			if n++; n == 20 {
				break
			}
		}
		c.Close()
		s.others.Add(1)
	}
}

// stuckConn stops reading when told to.
type stuckConn struct {
	net.Conn
	stuck atomic.Bool
	end   <-chan struct{}
}

func (c *stuckConn) Read(p []byte) (int, error) {
	if c.stuck.Load() {
		<-c.end
		return 0, io.EOF
	}
	return c.Conn.Read(p)
}

// stuck watches and then reads no more.
func (s *soakClients) stuck(ctx context.Context) {
	for ctx.Err() == nil {
		one, cancel := context.WithTimeout(ctx, 3*time.Second)
		nc, err := net.Dial("unix", s.socket)
		if err != nil {
			cancel()
			s.fail(ctx, "a client that does not read", err)
			return
		}
		conn := &stuckConn{Conn: nc, end: one.Done()}
		c, err := client.New(one, conn, nil)
		if err != nil {
			cancel()
			if wire.Code(err) != wire.CodeBusy {
				s.fail(ctx, "a client that does not read", err)
				return
			}
			s.noPlace.Add(1) // see dial
			sleepSoak(ctx, 50*time.Millisecond)
			continue
		}
		for range c.Watch(one, new(wire.Watch)) {
			conn.stuck.Store(true)
		}
		c.Close()
		cancel()
		s.others.Add(1)
	}
}

// hostile says nothing, or nonsense.
func (s *soakClients) hostile(ctx context.Context) {
	rng := rand.New(rand.NewPCG(1, 2))
	for sleepSoak(ctx, 20*time.Millisecond) {
		nc, err := net.Dial("unix", s.socket)
		if err != nil {
			s.fail(ctx, "a hostile client", err)
			return
		}
		if rng.IntN(2) == 0 {
			b := make([]byte, rng.IntN(200))
			for i := range b {
				b[i] = byte(rng.Uint32())
			}
			nc.Write(b)
		}
		sleepSoak(ctx, time.Duration(rng.IntN(100))*time.Millisecond)
		nc.Close()
		s.others.Add(1)
	}
}

// soakSample is how the process is.
type soakSample struct {
	at         time.Duration
	rss        int64
	anonymous  int64 // of rss: what the process has made, not what is mapped from files
	goroutines int64
	files      int
	captions   int64
	frames     map[string]int64
	problems   []string
}

func (s *soakClients) sample(ctx context.Context, pid int, at time.Duration) soakSample {
	s.t.Helper()
	c, err := s.dial(ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	defer c.Close()
	st, err := c.Status(ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	r := soakSample{at: at, rss: st.RSSBytes, goroutines: st.Goroutines, problems: st.Problems, frames: map[string]int64{}}
	for _, sc := range st.Scenes {
		r.captions += sc.Captions
		r.frames[sc.Name] = sc.Frames
	}
	if fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid)); err == nil {
		r.files = len(fds)
	}
	if b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid)); err == nil {
		if _, rest, ok := bytes.Cut(b, []byte("\nRssAnon:")); ok {
			fmt.Sscan(string(rest), &r.anonymous)
			r.anonymous <<= 10 // kB
		}
	}
	return r
}

// quiet samples when all cameras are there and nobody is connected. What is on its way is
// waited for: the fewest goroutines and descriptors count.
func (s *soakClients) quiet(ctx context.Context, pid int) soakSample {
	s.t.Helper()
	best := s.sample(ctx, pid, 0)
	for range 100 {
		time.Sleep(50 * time.Millisecond)
		r := s.sample(ctx, pid, 0)
		r.goroutines = min(r.goroutines, best.goroutines)
		r.files = min(r.files, best.files)
		best = r
	}
	return best
}

// follow samples the process for so long and returns the slope of its resident memory after
// the first fifth, which fills rings and pools, in MB a minute.
func (s *soakClients) follow(ctx context.Context, pid int, begin time.Time, length time.Duration) float64 {
	s.t.Helper()
	var curve []soakSample
	for start := time.Now(); time.Since(start) < length; {
		time.Sleep(length / 200)
		c := s.sample(ctx, pid, time.Since(begin))
		if curve = append(curve, c); len(curve)%20 == 0 {
			s.t.Logf("%8v  %5.1f MB, %5.1f without mapped files  %d goroutines  %d descriptors",
				c.at.Round(time.Second), float64(c.rss)/1e6, float64(c.anonymous)/1e6, c.goroutines, c.files)
		}
	}
	curve = curve[len(curve)/5:]
	slope := slopeOf(curve, func(s soakSample) int64 { return s.rss })
	s.t.Logf("resident memory %+.2f MB/min, without mapped files %+.2f", slope, slopeOf(curve, func(s soakSample) int64 { return s.anonymous }))
	return slope
}

// slopeOf is the slope of an amount of bytes, by least squares, in MB a minute.
func slopeOf(curve []soakSample, bytes func(soakSample) int64) float64 {
	var n, sx, sy, sxx, sxy float64
	for _, c := range curve {
		x, y := c.at.Minutes(), float64(bytes(c))/1e6
		n, sx, sy, sxx, sxy = n+1, sx+x, sy+y, sxx+x*x, sxy+x*y
	}
	return (n*sxy - sx*sy) / (n*sxx - sx*sx)
}

// listen hears the signs of life until the end, as the kernel keeps a few only.
func (m manager) listen() {
	m.SetReadDeadline(time.Time{})
	for b := make([]byte, 4096); ; {
		if _, _, err := m.ReadFrom(b); err != nil {
			return
		}
	}
}
