package sim

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// many is how many seeds a test goes through, n but for short runs, which are
// made under the race detector and under emulators.
func many(n uint64) uint64 {
	if testing.Short() {
		return n / 5
	}
	return n
}

// TestWorldStatistics holds the world to what training and evaluation need: every
// kind of answer occurs often enough to be learnt.
func TestWorldStatistics(t *testing.T) {
	if testing.Short() {
		t.Skip("a share of few worlds says little")
	}
	counts := map[int]int{}
	motions := map[Motion]int{}
	hidden, objects, left, entered, frames := 0, 0, 0, 0, 0
	for seed := range uint64(60) {
		w := NewWorld(Config{Seed: seed})
		for f := range 60 {
			if f > 0 {
				w.Step()
			}
			frames++
			counts[len(w.objs)]++
			for i := range w.objs {
				objects++
				motions[w.Motion(i)]++
				if w.seenBy(i) != 3 {
					hidden++
				}
			}
			if e := w.LastLeft(); e != nil && e.Frame == w.Frame() {
				left++
			}
			if e := w.LastEntered(); e != nil && e.Frame == w.Frame() {
				entered++
			}
		}
	}
	t.Logf("frames %d counts %v motions %v hidden %.3f left %.3f entered %.3f", frames, counts, motions,
		float64(hidden)/float64(objects), float64(left)/float64(frames), float64(entered)/float64(frames))
	for n := 1; n <= 4; n++ {
		if counts[n]*100 < 8*frames {
			t.Errorf("%d objects in %d of %d frame sets", n, counts[n], frames)
		}
	}
	for m := Left; m <= Away; m++ {
		if motions[m]*100 < 3*objects {
			t.Errorf("motion %q of %d of %d objects", motionWords[m], motions[m], objects)
		}
	}
	if hidden*100 < 3*objects {
		t.Errorf("%d of %d objects hidden from one view", hidden, objects)
	}
	if left*100 < 4*frames || entered*100 < 4*frames {
		t.Errorf("%d departures and %d arrivals in %d frame sets", left, entered, frames)
	}
}

// TestInvariants checks what the language relies on, on every state of many worlds.
func TestInvariants(t *testing.T) {
	for seed := range many(40) {
		views := 1 + int(seed%4)
		w := NewWorld(Config{Seed: seed, Views: views})
		for range 50 {
			w.Step()
			if !w.valid() {
				t.Fatalf("seed %d frame %d: ambiguous state %v", seed, w.frame, w.objs)
			}
			seen := map[Shape]bool{}
			for i := range w.objs {
				if seen[w.objs[i].Shape] {
					t.Fatalf("seed %d frame %d: two of shape %v", seed, w.frame, w.objs[i].Shape)
				}
				seen[w.objs[i].Shape] = true
				dx, dy := w.Motion(i).step()
				p := w.Previous(i)
				if got := [2]float64{p.X + dx, p.Y + dy}; got != [2]float64{w.objs[i].X, w.objs[i].Y} {
					t.Fatalf("seed %d frame %d: motion %v from %v to %v", seed, w.frame, w.Motion(i), p, w.objs[i].Object)
				}
			}
			if len(w.order()) != len(w.objs) {
				t.Fatalf("seed %d frame %d: order %v of %d objects", seed, w.frame, w.order(), len(w.objs))
			}
		}
	}
}

// TestVocabularyCovers asks and describes for a while: every text must be made
// of tokens.
func TestVocabularyCovers(t *testing.T) {
	known := map[string]bool{}
	for _, v := range Vocabulary() {
		known[v] = true
	}
	if len(known) > 250 {
		t.Fatalf("%d tokens", len(known))
	}
	covered := func(text string) {
		for _, tok := range wordRE.FindAllString(text, -1) {
			if !known[tok] {
				t.Fatalf("%q of %q is not in the vocabulary", tok, text)
			}
		}
	}
	rng := rand.New(rand.NewPCG(1, 2))
	asked := map[string]map[string]int{}
	for seed := range many(30) {
		w := NewWorld(Config{Seed: seed})
		for range 40 {
			w.Step()
			covered(" " + w.Caption())
			for _, k := range append(slices.Clone(Kinds), "describe") {
				if q, ok := w.Ask(rng, k); ok {
					covered(q.Question)
					covered(" " + q.Answer)
					if asked[k] == nil {
						asked[k] = map[string]int{}
					}
					asked[k][q.Answer]++
				}
			}
		}
	}
	for _, k := range Kinds {
		if len(asked[k]) < 2 {
			t.Errorf("kind %s: answers %v", k, asked[k])
		}
	}
	t.Logf("camera %v motion %v where %v exist %v count %v", asked["camera"], asked["motion"], asked["where"], asked["exist"], asked["count"])
}

func TestScore(t *testing.T) {
	truth := "a red person moving closer, behind it a white cone, a blue box entering; the green ball left."
	for _, c := range []struct {
		caption      string
		right, total int
	}{
		{truth, 11, 11},
		{strings.Replace(truth, "closer", "away", 1), 10, 11},
		{strings.Replace(truth, "blue box entering", "blue box", 1), 10, 11},
		{strings.Replace(truth, "; the green ball left", "", 1), 10, 11},
		{"a white cone, a red person moving closer, a blue box entering; the green ball left.", 10, 11},
		{strings.Replace(truth, ", a blue box entering", "", 1), 8, 11},
		{strings.Replace(truth, ";", ", a red can;", 1), 11, 12},
		{"", 1, 11},
		{"the room is empty.", 1, 11},
	} {
		right, total, exact := Score(c.caption, truth)
		if right != c.right || total != c.total || exact != (c.caption == truth) {
			t.Errorf("%q: %d of %d exact %v, want %d of %d", c.caption, right, total, exact, c.right, c.total)
		}
	}
	if r, n, exact := Score("the room is empty.", "the room is empty."); r != n || !exact {
		t.Errorf("empty room: %d of %d, %v", r, n, exact)
	}
}

func TestDeterministic(t *testing.T) {
	run := func() (s []string) {
		w := NewWorld(Config{Seed: 7})
		for range 100 {
			w.Step()
			s = append(s, w.Caption())
		}
		return s
	}
	if a, b := run(), run(); !slices.Equal(a, b) {
		t.Fatal("the same seed gave two histories")
	}
}

func TestClips(t *testing.T) {
	for i := range 32 {
		c := BalancedClip(1, i, 2)
		w := NewWorld(c.Config)
		for range c.Frames - 1 {
			w.Step()
		}
		if len(w.objs) != 1+(i/4)%4 || c.Frames != 1+i%4 {
			t.Errorf("clip %d: %d frame sets, %d objects", i, c.Frames, len(w.objs))
		}
	}
	for i := range 12 {
		c := HiddenClip(1, i)
		w := NewWorld(c.Config)
		for range c.Frames - 1 {
			w.Step()
		}
		if len(c.Hidden) == 0 {
			t.Errorf("hidden clip %d hides nothing", i)
		}
		for _, j := range c.Hidden {
			if w.seenBy(j) != 2 {
				t.Errorf("hidden clip %d: object %d seen by %d", i, j, w.seenBy(j))
			}
			for _, q := range w.Colours(j) {
				if q.Answer != w.objs[j].Color.String() || !strings.Contains(q.Question, w.objs[j].Shape.String()) {
					t.Errorf("hidden clip %d: %q about object %d", i, q, j)
				}
			}
		}
		c = MovingClip(1, i, 2)
		w = NewWorld(c.Config)
		for range c.Frames - 1 {
			w.Step()
		}
		moving := 0
		for _, o := range w.objs {
			if strings.HasPrefix(motionWords[o.motion], "moving ") {
				moving++
			}
		}
		if got := w.Moving(); moving == 0 || len(got) != moving*len(wordings["motion"]) {
			t.Errorf("moving clip %d: %d objects move, %q", i, moving, got)
		}
		for _, q := range w.Moving() {
			if !strings.HasPrefix(q.Answer, "moving ") || strings.Contains(q.Question, "%") {
				t.Errorf("moving clip %d: %q", i, q)
			}
		}
		c = EventClip(1, i, 2)
		w = NewWorld(c.Config)
		for range c.Frames - 1 {
			w.Step()
		}
		if i%2 == 0 && w.lastLeft == nil || i%2 == 1 && w.lastCame == nil {
			t.Errorf("event clip %d has no event", i)
		}
	}
}

// TestRecallClips: the event is in the last frame set, and however the room goes on, the
// question about it has the same answer, which the caption of that frame set told.
func TestRecallClips(t *testing.T) {
	busy := 0
	for i := range int(many(20)) {
		kind := [2]string{"left", "entered"}[i%2]
		c := RecallClip(1, i, 2)
		w := NewWorld(c.Config)
		for range c.Frames - 1 {
			w.Step()
		}
		e := [2]*Event{w.LastLeft(), w.LastEntered()}[i%2]
		if e == nil || e.Frame != w.Frame() || !w.Busy() {
			t.Errorf("recall clip %d: %+v in frame set %d", i, e, w.Frame())
			continue
		}
		answer := "the " + name(e.Object)
		if told, ok := Tells(w.Caption(), kind); !ok || told != answer {
			t.Errorf("recall clip %d: %q of %q, want %q", i, told, w.Caption(), answer)
		}
		w.Keep(kind)
		rng := rand.New(rand.NewPCG(1, uint64(i)))
		for n := range 200 {
			if n < 50 {
				w.Rest()
			} else {
				w.Step()
			}
			if w.Busy() {
				busy++
			}
			if n < 50 && w.Busy() {
				t.Fatalf("recall clip %d: something happens in a room at rest", i)
			}
			if _, told := Tells(w.Caption(), kind); told {
				t.Fatalf("recall clip %d: %q after the event", i, w.Caption())
			}
			if q, ok := w.Ask(rng, kind); !ok || q.Answer != answer {
				t.Fatalf("recall clip %d, %d frame sets later: %q, want %q", i, n+1, q.Answer, answer)
			}
			if !w.valid() {
				t.Fatalf("recall clip %d: ambiguous state %v", i, w.objs)
			}
		}
	}
	if all := int(many(20)) * 150; busy < all/3 {
		t.Errorf("something happened in %d of %d frame sets", busy, all)
	}
}

func TestTells(t *testing.T) {
	for _, c := range []struct{ caption, kind, want string }{
		{"a red ball, a blue can; the white box left.", "left", "the white box"},
		{"the room is empty; the white box left.", "left", "the white box"},
		{"a red ball moving left.", "left", ""},
		{"a red ball, behind it a blue can entering; the white box left.", "entered", "the blue can"},
		{"a red ball; the white box left.", "entered", ""},
		{"a red ball; the white box", "left", ""},
		{"", "left", ""}, {"", "entered", ""},
	} {
		if got, ok := Tells(c.caption, c.kind); ok != (c.want != "") || ok && got != c.want {
			t.Errorf("%s of %q: %q, %v", c.kind, c.caption, got, ok)
		}
	}
}
