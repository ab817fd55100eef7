package wire

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
)

// talker answers as its function does.
type talker struct {
	house
	answer func(piece func(string) error) (*Answer, error)
}

func (t *talker) Ask(_ context.Context, _ *Ask, piece func(string) error) (*Answer, error) {
	return t.answer(piece)
}

// TestEndlessAnswer: an answer of which the client takes nothing is given up when there is too much of it.
func TestEndlessAnswer(t *testing.T) { synctest.Test(t, testEndlessAnswer) }

func testEndlessAnswer(t *testing.T) {
	said := 0
	h := &talker{answer: func(piece func(string) error) (*Answer, error) {
		for ; said < 100*maxPending; said += 1000 {
			if err := piece(strings.Repeat("x", 1000)); err != nil {
				return nil, err
			}
		}
		return &Answer{Text: "all of it"}, nil
	}}
	ln := NewMemory()
	serveUntilEnd(t, ln, h, &ServeOptions{QueueBytes: 2000})
	p := greet(t, ln)
	p.send(2, &Ask{Question: "and then?"})
	synctest.Wait()
	for {
		_, m := p.read()
		if m.Kind() == "piece" {
			continue
		}
		if e, ok := m.(*Error); !ok || e.Code != CodeBusy || !strings.Contains(e.Message, "does not take the answer") {
			t.Errorf("%+v", m)
		}
		break
	}
	if said > 2*maxPending {
		t.Errorf("%d bytes of it were kept", said)
	}
}

// TestLatePiece: what is said after an answer is an error to who says it, and nobody hears it.
func TestLatePiece(t *testing.T) { synctest.Test(t, testLatePiece) }

func testLatePiece(t *testing.T) {
	late := make(chan func(string) error, 1)
	h := &talker{answer: func(piece func(string) error) (*Answer, error) {
		late <- piece
		return &Answer{Text: "a red box"}, nil
	}}
	ln := NewMemory()
	serveUntilEnd(t, ln, h, nil)
	p := greet(t, ln)
	p.send(2, &Ask{Question: "what?"})
	p.want(2, &Answer{Text: "a red box"})
	if err := (<-late)("and a dog"); !errors.Is(err, errOver) {
		t.Errorf("%v", err)
	}
	p.send(3, new(GetStatus))
	p.want(3, &Status{Model: "m"})
}
