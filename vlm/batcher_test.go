package vlm_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/visualrwkv/edged/vlm"
)

// Answers of different streams that begin, end and are given up at any moment
// are decoded together, and each is what it would have been alone.
func TestSequencesJoinAndLeave(t *testing.T) {
	for _, variant := range []string{"hybrid", "rwkv7"} {
		t.Run(variant, func(t *testing.T) {
			spec := base
			spec.Variant, spec.Seed = variant, 9
			joinAndLeave(t, open(t, spec, func(o *vlm.Options) { o.Threads = 2 }))
		})
	}
}

func joinAndLeave(t *testing.T, m *vlm.Model) {
	const streams, rounds = 8, 3
	question := func(i, r int) (string, *vlm.GenOptions) {
		return fmt.Sprint("what is ", i%3, " and ", r, "?"), &vlm.GenOptions{MaxTokens: 3 + (i*7+r*11)%16, Temperature: 1, Seed: uint64(i*rounds + r)}
	}
	scenes := make([]*vlm.Stream, streams)
	want := make([][rounds]string, streams)
	var before uint64
	for i := range scenes {
		scenes[i] = stream(t, m)
		see(t, scenes[i], uint64(i))
		for r := range rounds {
			q, o := question(i, r)
			a, err := scenes[i].Answer(context.Background(), q, o)
			if err != nil {
				t.Fatal(err)
			}
			want[i][r] = a
		}
		_, n := m.Passes()
		if n == before {
			t.Fatalf("the answers of stream %d end at once: try another seed", i)
		}
		before = n
	}
	passes, tokens := m.Passes()
	if passes != tokens {
		t.Fatalf("%d passes for %d tokens of sequences alone", passes, tokens)
	}

	release := m.HoldPasses()
	var group sync.WaitGroup
	for i, s := range scenes {
		group.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(i), 1))
			for r := range rounds {
				q, o := question(i, r)
				if rng.IntN(4) == 0 { // somebody who does not want to hear the end
					for _, err := range s.Generate(context.Background(), q, o) {
						if err != nil {
							t.Error(err)
						}
						break
					}
				}
				got, err := s.Answer(context.Background(), q, o)
				if err != nil || got != want[i][r] {
					t.Errorf("stream %d, question %d: %q, %v in company, %q alone", i, r, got, err, want[i][r])
				}
			}
		})
	}
	release(streams) // so that at least the first pass has full company
	group.Wait()
	morePasses, moreTokens := m.Passes()
	morePasses, moreTokens = morePasses-passes, moreTokens-tokens
	t.Logf("%d tokens in %d passes", moreTokens, morePasses)
	if moreTokens < morePasses+streams-1 { // how much more company there is depends on the machine
		t.Errorf("%d tokens took %d passes with %d streams", moreTokens, morePasses, streams)
	}
}

// A reader who stalls, or a question that is cancelled, must not hold up the
// others.
func TestStalledReader(t *testing.T) {
	m := open(t, base, nil)
	a, b := stream(t, m), stream(t, m)
	see(t, a, 1)
	see(t, b, 2)
	long := &vlm.GenOptions{MaxTokens: 40, Temperature: 2, Seed: 1}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	pieces := 0
	for _, err := range a.Generate(ctx, "tell me a long story", long) {
		if err != nil {
			t.Fatal(err)
		}
		if pieces++; pieces == 3 {
			if _, err := b.Answer(ctx, "meanwhile?", short); err != nil { // while a's reader is here
				t.Fatal(err)
			}
		}
	}
	if pieces < 4 {
		t.Fatalf("only %d pieces", pieces)
	}

	stop, give := context.WithCancel(context.Background())
	give()
	var group sync.WaitGroup
	group.Go(func() {
		if _, err := a.Answer(stop, "cancelled?", long); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled answer: %v", err)
		}
	})
	group.Go(func() {
		if _, err := b.Answer(ctx, "and this?", short); err != nil {
			t.Error(err)
		}
	})
	group.Wait()
}
