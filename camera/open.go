package camera

import (
	"context"
	"errors"
	"fmt"
	"image"
	"maps"
	"slices"
	"strings"
	"time"
)

// ErrSpec is wrapped by the error for a source that is written in a way nobody
// understands. No camera is asked before a spec is understood.
var ErrSpec = errors.New("bad source")

// Options says how a source is opened and watched over. The zero value suits
// raw formats; compressed ones need Decode.
type Options struct {
	// Width, Height and Rate (pictures a second) are wished for; a camera takes
	// what comes nearest. Zero means 640x480 and the camera's own rate.
	Width, Height int
	Rate          float64

	// Controls are set by name when a camera is opened, exposure_time_absolute
	// for example. Kinds of sources that have none ignore them.
	Controls map[string]int32

	// Repeats is [Kind].Repeats instead of that of the kind of source; 0 keeps it,
	// negative means for ever.
	Repeats time.Duration

	// Decode makes pixels of a whole JPEG or PNG; it decides what is too large.
	Decode func(data []byte) (image.Image, error)

	// Timeline is that of the folders of one place; nil: each has its own.
	Timeline *Timeline

	// Draft makes an eighth of the size of a whole JPEG, whose pixels are the means of 8x8,
	// in dst, whose memory it uses; an error where it cannot. Nil: nobody needs drafts.
	Draft func(data []byte, dst *image.YCbCr) error

	// Kinds are further kinds of sources by the word before the colon.
	Kinds map[string]func(rest string, o *Options) (Kind, error)
}

// Kind is how a source of some kind is opened, again and again.
type Kind struct {
	// Open makes one attempt. A source that is a [fmt.Stringer] tells how its
	// pictures are taken. The source's Next fails when the camera does and
	// returns [io.EOF] only where a source rightly ends, which ends the view.
	// Open, Next and Close may hang: see [Camera].
	Open func(ctx context.Context) (Source, error)

	// Wait waits so long, or shorter when another attempt may succeed now
	// (true), or until ctx ends. Nil waits for the time alone.
	Wait func(ctx context.Context, d time.Duration) bool

	// Waited is when a source last waited for something else than its camera, now if
	// it still does: Patience begins anew then. Nil where none do.
	Waited func() time.Time

	// Bad counts the pictures that came damaged, in all attempts together; nil
	// where none do.
	Bad func() uint64

	// Repeats is for how long a working camera of this kind may deliver the same
	// picture, bit for bit; then it hangs, whatever it goes on to deliver. A sensor's
	// noise makes every picture another; what lies between may repeat some. 0 means for
	// ever, as is right for files.
	Repeats time.Duration

	// MaxWait is the longest pause between two attempts; 0 means 2 s.
	MaxWait time.Duration

	// Patience is how long Open, or Next, may take before the attempt is given
	// up as hung; 0 means 10 s. What knows better fails earlier, with a reason.
	Patience time.Duration
}

// kinds are the kinds of sources that this package knows.
var kinds = map[string]func(rest string, o *Options) (Kind, error){
	"dir":  folderKind,
	"file": folderKind,
}

// Open understands a spec, KIND:REST, and returns the source, which nothing was
// asked of yet. Kinds are
//
//	dir:PATH    the pictures of a folder, as they were taken: see [TimesFile]
//	file:PATH   one picture
//
// and those of [Options].Kinds.
func Open(spec string, o *Options) (*Camera, error) {
	if o == nil {
		o = &Options{}
	}
	name, rest, ok := strings.Cut(spec, ":")
	shown := Redact(spec)
	make := kinds[name]
	if k := o.Kinds[name]; k != nil {
		make = k
	}
	if !ok || make == nil {
		known := slices.Sorted(maps.Keys(kinds))
		known = append(known, slices.Sorted(maps.Keys(o.Kinds))...)
		return nil, fmt.Errorf("%w %q: want KIND:REST with one of the kinds %s", ErrSpec, shown, strings.Join(known, ", "))
	}
	k, err := make(rest, o)
	if err != nil {
		return nil, fmt.Errorf("%w %q: %w", ErrSpec, shown, err)
	}
	if o.Repeats != 0 {
		k.Repeats = max(o.Repeats, 0)
	}
	return newCamera(shown, k), nil
}
