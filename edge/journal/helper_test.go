package journal

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/visualrwkv/edged/internal/fakeclock"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(killedDir); dir != "" {
		beKilled(dir)
		return
	}
	firstRetry = 10 * time.Millisecond
	goleak.VerifyTestMain(m)
}

// reports collects what a journal says of itself.
type reports struct {
	mu   sync.Mutex
	said []Report
}

func (r *reports) add(x Report) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.said = append(r.said, x)
}

// kinds of what was said, joined.
func (r *reports) kinds() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var k []string
	for _, x := range r.said {
		k = append(k, x.Kind)
	}
	return strings.Join(k, " ")
}

// await waits until what was told is want: it is told after what it is about.
func (r *reports) await(t *testing.T, want string) {
	t.Helper()
	for range 60_000 {
		if r.kinds() == want {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Errorf("told %q, want %q", r.kinds(), want)
}

func newDevice() *fakeclock.Device {
	return fakeclock.New(time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC), 24*time.Hour)
}

// open opens a journal that writes soon. It must be closed by the test.
func open(t testing.TB, dir string, o *Options) *Journal {
	t.Helper()
	own := Options{}
	if o != nil {
		own = *o
	}
	if own.Delay == 0 {
		own.Delay = time.Millisecond
	}
	j, err := Open(dir, &own)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func save(t testing.TB, j *Journal) {
	t.Helper()
	if err := j.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func closed(t testing.TB, j *Journal) {
	t.Helper()
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
}

// crash ends the journal as a power cut would: nothing that is not on disk is saved.
func crash(t testing.TB, j *Journal) {
	t.Helper()
	j.mu.Lock()
	j.pending, j.waiting = nil, 0
	j.mu.Unlock()
	next := j.Next()
	closed(t, j)
	m, err := openMark(j.dir + "/log.mark")
	if err != nil {
		t.Fatal(err)
	}
	defer m.close()
	if err := m.write(next+reserve, false); err != nil {
		t.Fatal(err)
	}
}

func caption(n int) *Record {
	return &Record{Kind: "caption", Scene: fmt.Sprint("scene ", n%3), Text: text(n), Data: []byte(fmt.Sprintf(`{"frame":%d}`, n))}
}

func text(n int) string {
	return fmt.Sprintf("%d: a %s is %s", n, []string{"red box", "blue ball", "person"}[n%3], []string{"left", "right"}[n%2])
}

// find returns the sequence numbers of what q finds.
func find(t testing.TB, j *Journal, q Query) (seqs []uint64) {
	t.Helper()
	for r, err := range j.Search(t.Context(), q) {
		if err != nil {
			t.Fatal(err)
		}
		seqs = append(seqs, r.Seq)
	}
	return seqs
}
