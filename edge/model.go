package edge

import (
	"context"
	"image"
	"iter"
	"time"
)

// Model is what the daemon needs of a model. [VLM] makes one of a *vlm.Model.
type Model interface {
	Name() string          // for people, from the model file
	Origin() string        // which model of that name it is, for people; may be empty
	Backend() string       // the kernels in use
	MaxViews() int         // pictures in a frame set, at most
	Fingerprint() [32]byte // of what snapshots belong to
	NewStream() (Stream, error)

	// StateChange is the least change of the image state that is worth a caption, for scenes
	// whose gate does not say; 0 where that was never measured. See [Gate].State.
	StateChange() float64

	// Context is how many tokens of earlier captions may stand before a question, 0
	// for models that were not made to read any.
	Context() int

	// Tokens is how many tokens a line of a question is; an error says what of it cannot be
	// written.
	Tokens(text string) (int, error)
}

// Stream carries the memory of one scene. One goroutine uses it.
type Stream interface {
	// See takes one frame set into the memory and says how long the picture
	// side (preprocessing, towers, projector) and the state encoder took.
	See(ctx context.Context, views []image.Image) (vision, encode time.Duration, err error)

	// SeeWith takes in the frame set that o, a stream of the same model, has
	// looked at last, without looking itself.
	SeeWith(ctx context.Context, o Stream) (encode time.Duration, err error)

	// Generate yields the answer to a question in pieces; the empty question is
	// the model's own for a caption. It leaves the memory alone. Streams of one
	// model that generate at the same time are decoded together.
	Generate(ctx context.Context, question string) iter.Seq2[string, error]

	// Answers answers several questions as Generate does, their texts decoded together:
	// all of them, or none and an error.
	Answers(ctx context.Context, questions []string) ([]string, error)

	// ImageState is what the decoder reads, nil in models without one; borrowed
	// until the next call of See.
	ImageState() []float32

	// Magnitude is the largest absolute value in the memory.
	Magnitude() float32

	// Snapshot is all that Restore needs to answer the same questions with the
	// same bytes and to see on. It is a copy, and its size does not grow.
	Snapshot() []byte
	Restore(snapshot []byte) error
}
