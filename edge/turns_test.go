package edge

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func wholeDuty() float64 { return 1 }

// waited returns how long a look waits for its turn.
func waited(t *testing.T, turns *turns, before time.Duration) time.Duration {
	t.Helper()
	began := time.Now()
	done, err := turns.look(t.Context(), before)
	if err != nil {
		t.Fatal(err)
	}
	took := time.Since(began)
	done()
	return took
}

// TestQuestionsGoFirst: a look waits for the questions that are being answered, and no longer than the
// look before took; one that has no look before it does not.
func TestQuestionsGoFirst(t *testing.T) {
	for _, c := range []struct{ answer, before, want time.Duration }{
		{500 * time.Millisecond, time.Second, 500 * time.Millisecond},
		{10 * time.Second, time.Second, time.Second},
		{10 * time.Second, 0, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			turns := newTurns(wholeDuty)
			for range 2 {
				done, err := turns.answer(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				time.AfterFunc(c.answer, done)
			}
			if got := waited(t, turns, c.before); got != c.want {
				t.Errorf("answers that take %v: it looked after %v, want %v", c.answer, got, c.want)
			}
			time.Sleep(c.answer)
			if got := waited(t, turns, c.before); got != 0 {
				t.Errorf("with no question: it looked after %v", got)
			}
		})
	}
}

// TestRest: work is followed by so much rest that the duty is kept, whatever the work is, when it was and
// how much is done at the same time; nobody works off what they owe by other work. A device rests for a
// minute at most.
func TestRest(t *testing.T) {
	type begin func(ctx context.Context, turns *turns) (done func(), err error)
	look := func(ctx context.Context, turns *turns) (func(), error) { return turns.look(ctx, 0) }
	text := func(ctx context.Context, turns *turns) (func(), error) { return turns.caption(ctx, 1) }
	answer := func(ctx context.Context, turns *turns) (func(), error) { return turns.answer(ctx) }
	for name, c := range map[string]struct {
		work []begin       // one after the other
		each time.Duration // each of them
		pile int           // of each, at the same time
		want time.Duration
	}{
		"a look":                   {[]begin{look}, time.Second, 1, 3 * time.Second},
		"texts":                    {[]begin{text}, time.Second, 1, 3 * time.Second},
		"an answer":                {[]begin{answer}, time.Second, 1, 3 * time.Second},
		"texts after a look":       {[]begin{look, text}, 2 * time.Second, 1, 12 * time.Second},
		"answers at the same time": {[]begin{answer}, time.Second, answersTogether, 3 * time.Second},
		"an hour of answers":       {[]begin{answer}, time.Hour, 1, longestRest},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				turns := newTurns(func() float64 { return 0.25 })
				for range 2 {
					for _, b := range c.work {
						var ends []func()
						for range c.pile {
							done, err := b(t.Context(), turns)
							if err != nil {
								t.Fatal(err)
							}
							ends = append(ends, done)
						}
						time.Sleep(c.each)
						for _, done := range ends {
							done()
						}
					}
					if got := waited(t, turns, 0); got != c.want {
						t.Errorf("it rested for %v, want %v", got, c.want)
					}
					time.Sleep(time.Hour) // for which nothing is owed or gained
				}
			})
		})
	}
}

// TestLongestRest: however many questions are answered on a device that is too warm, it looks once a minute.
func TestLongestRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := newTurns(func() float64 { return 0.1 })
		var asking sync.WaitGroup
		defer asking.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		asking.Go(func() {
			for {
				done, err := turns.answer(ctx)
				if err != nil {
					return
				}
				time.Sleep(time.Second)
				done()
			}
		})
		time.Sleep(time.Hour)
		if got := waited(t, turns, 0); got != longestRest {
			t.Errorf("it looked after %v, want %v", got, longestRest)
		}
		cancel()
		asking.Wait()
		waited(t, turns, 0)
		if got := waited(t, turns, 0); got != 0 {
			t.Errorf("of an hour of answers it still owes a rest of %v", got)
		}
	})
}

// TestTurnsEnd: whoever is stopped while it waits leaves its turn and its places to others.
func TestTurnsEnd(t *testing.T) {
	stopped := func(t *testing.T, turn func(context.Context) (func(), error)) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := turn(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a turn that could not come: %v", err)
		}
	}
	for name, busy := range map[string]func(t *testing.T, turns *turns) (free func()){
		"questions": func(t *testing.T, turns *turns) func() {
			done, err := turns.answer(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return done
		},
		"rest": func(_ *testing.T, turns *turns) func() {
			turns.rest = time.Now().Add(longestRest)
			return func() { turns.rest = time.Time{} }
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				turns := newTurns(wholeDuty)
				free := busy(t, turns)
				stopped(t, func(ctx context.Context) (func(), error) { return turns.look(ctx, time.Minute) })
				free()
				waited(t, turns, time.Minute)
			})
		})
	}
	t.Run("places for texts", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			turns := newTurns(wholeDuty)
			done, err := turns.caption(t.Context(), captionsTogether-1)
			if err != nil {
				t.Fatal(err)
			}
			stopped(t, func(ctx context.Context) (func(), error) { return turns.caption(ctx, 2) })
			if n := len(turns.captions); n != captionsTogether-1 {
				t.Errorf("%d places are taken, want %d", n, captionsTogether-1)
			}
			done()
			if done, err = turns.caption(t.Context(), 2*captionsTogether); err != nil { // as many as there are
				t.Fatal(err)
			}
			done()
			if n := len(turns.captions); n != 0 {
				t.Errorf("%d places are taken, want none", n)
			}
		})
	})
}

// TestTextsTogether: scenes of which each needs more places than are left wait for each other, not for ever,
// and no more texts are written at the same time than there are places.
func TestTextsTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := newTurns(wholeDuty)
		ended := make(chan time.Time)
		for range 4 {
			go func() {
				for range 3 {
					done, err := turns.caption(t.Context(), captionsTogether-1)
					if err != nil {
						t.Error(err)
						break
					}
					time.Sleep(time.Second)
					done()
				}
				ended <- time.Now()
			}()
		}
		began := time.Now()
		var last time.Time
		for range 4 {
			last = <-ended
		}
		if got, want := last.Sub(began), 12*time.Second; got != want {
			t.Errorf("12 seconds of texts of which no two go together took %v, want %v", got, want)
		}
	})
}
