package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"

	"github.com/visualrwkv/edged/wire"
)

const askAbout = `Asks a running edged (or edged demo) a question about what it sees and has seen,
and prints the answer as it is written. With -at it is answered from the newest
memory kept from that moment or before it, exactly as it would have been answered
then. With -diff what the memory held then is compared with what it holds now, or
held at -at. With -since the captions that were logged since then are printed too, an
even choice of many; a model that was made to read them reads them before it answers.
Ctrl-C and -timeout end the work on the answer too. Without QUESTION, or with "-", the
question is read from the standard input. A question that begins with a dash, or has
words that do, goes after "--".`

type jsonAnswer struct {
	Type     string         `json:"type"`
	Scene    string         `json:"scene"`
	Question string         `json:"question"`
	Text     string         `json:"text"`
	Frame    int64          `json:"frame"` // frame sets the memory held
	Time     time.Time      `json:"time"`  // of the newest of them
	AgeMS    float64        `json:"age_ms"`
	Tokens   int64          `json:"tokens"`
	MS       jsonAnswerTime `json:"ms"`
	Change   *jsonChange    `json:"change,omitempty"`
	Span     *jsonSpan      `json:"span,omitempty"`
}

// jsonChange is a [wire.Change].
type jsonChange struct {
	Then  string    `json:"then"`
	Now   string    `json:"now"`
	Gone  []string  `json:"gone"`
	New   []string  `json:"new"`
	Frame int64     `json:"frame"`
	Time  time.Time `json:"time"`
	AgeMS float64   `json:"age_ms"`

	Captions []jsonCaptionLine `json:"captions"` // of the log in between, the newest 32
	More     int64             `json:"more"`     // how many came before those
}

// jsonSpan is a [wire.Span].
type jsonSpan struct {
	Captions []jsonCaptionLine `json:"captions"` // an even choice of 64 at most, the newest among them
	Logged   int64             `json:"logged"`   // how many the log has
	Read     bool              `json:"read"`     // the model read Captions before it answered
}

type jsonCaptionLine struct {
	Time  time.Time `json:"time"`
	Frame int64     `json:"frame"`
	Text  string    `json:"text"`
}

type jsonAnswerTime struct {
	First float64 `json:"first"`
	Total float64 `json:"total"`
}

// askMain is "edged ask".
func askMain(args []string, std stdio) int {
	fs := newFlags("ask", "[flags] [QUESTION] [flags]", askAbout)
	socket := fs.String("socket", "", socketHelp)
	scene := fs.String("scene", "", "`name` of the scene; not needed where there is one")
	at := fs.String("at", "", "answer as at an earlier `time`: "+whenHelp)
	diff := fs.String("diff", "", "compare with an earlier `time`, given as for -at")
	since := fs.String("since", "", "take along the captions logged since an earlier `time`, given as for -at")
	timeout := fs.Duration("timeout", 0, "how `long` the answer may take, such as 30s; 0: as long as it takes")
	asJSON := fs.Bool("json", false, "print the answer as one JSON object")
	words, code, ok := parseMixed(fs, args, std.out, std.err)
	if !ok {
		return code
	}
	q := &wire.Ask{Scene: *scene}
	for _, w := range []struct {
		flag, value string
		to          *int64
	}{{"-at", *at, &q.At}, {"-diff", *diff, &q.Diff}, {"-since", *since, &q.Since}} {
		if w.value == "" {
			continue
		}
		var err error
		if *w.to, err = parseWhen(w.value, time.Now()); err != nil {
			return wrongUse(fs, std.err, w.flag+": "+err.Error())
		}
	}
	if q.Diff != 0 && q.Since != 0 {
		return wrongUse(fs, std.err, "want either -diff or -since")
	}
	if *timeout < 0 {
		return wrongUse(fs, std.err, fmt.Sprintf("-timeout %v: not below 0", *timeout))
	}
	q.Deadline = float64(*timeout) / float64(time.Millisecond)
	var err error
	if q.Question, err = readQuestion(words, std.in); err != nil {
		return wrongUse(fs, std.err, err.Error())
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if *timeout > 0 { // for a daemon that does not answer at all
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, *timeout+answerGrace)
		defer cancel()
	}
	if err := ask(ctx, socketPath(*socket), q, *asJSON, std.out); err != nil {
		switch {
		case wire.Code(err) == wire.CodeDeadline, errors.Is(err, context.DeadlineExceeded):
			err = fmt.Errorf("no answer within %v", *timeout)
		case errors.Is(err, context.Canceled):
			err = errors.New("interrupted")
		}
		fmt.Fprintln(std.err, "edged ask:", err)
		return exitFailed
	}
	return exitOK
}

// answerGrace is how long a daemon has to say that it is too late.
const answerGrace = 2 * time.Second

// readQuestion takes the question from the arguments or from in.
func readQuestion(args []string, in io.Reader) (string, error) {
	q := strings.Join(args, " ")
	if q == "" || q == "-" {
		if f, ok := in.(*os.File); ok && q == "" {
			if w, _ := terminalSize(f); w > 0 {
				return "", errors.New("no question")
			}
		}
		b, err := io.ReadAll(io.LimitReader(in, wire.MaxRequest))
		if err != nil {
			return "", err
		}
		q = string(b)
	}
	switch q = strings.TrimSpace(q); {
	case q == "":
		return "", errors.New("no question")
	case len(q) > wire.MaxQuestion:
		return "", fmt.Errorf("a question of more than %d bytes", wire.MaxQuestion)
	case !utf8.ValidString(q):
		return "", errors.New("the question is not UTF-8 text")
	}
	return q, nil
}

func ask(ctx context.Context, path string, q *wire.Ask, asJSON bool, out io.Writer) error {
	c, err := dial(ctx, path, "edged ask")
	if err != nil {
		return err
	}
	defer c.Close()
	var answer *wire.Answer
	for part, err := range c.Ask(ctx, q) {
		if err != nil {
			return err
		}
		if !asJSON {
			if _, err := io.WriteString(out, printable(part.Text)); err != nil {
				return err
			}
		}
		answer = part.Answer
	}
	if asJSON {
		return printJSON(out, toJSON(q, answer))
	}
	if _, err := fmt.Fprintln(out); err != nil || q.At == 0 && q.Diff == 0 && q.Since == 0 {
		return err
	}
	return printMoments(out, q, answer)
}

// printMoments tells which memories an answer is of, how they differ, and what the log has.
func printMoments(out io.Writer, q *wire.Ask, a *wire.Answer) error {
	var b strings.Builder
	if q.At != 0 {
		fmt.Fprintf(&b, "(as of %s)\n", moment(a.Frame, a.Time, a.AgeMS))
	}
	if c := a.Change; c != nil {
		fmt.Fprintf(&b, "then: %s (%s)\n now: %s (%s)\n", printable(c.Then), moment(c.Frame, c.Time, c.AgeMS), printable(c.Now), moment(a.Frame, a.Time, a.AgeMS))
		for _, p := range c.Gone {
			fmt.Fprintf(&b, "   - %s\n", printable(p))
		}
		for _, p := range c.New {
			fmt.Fprintf(&b, "   + %s\n", printable(p))
		}
		if len(c.Captions) > 0 {
			fmt.Fprintf(&b, "written between: %d captions\n", int64(len(c.Captions))+c.More)
		}
		printCaptions(&b, c.Captions)
	}
	if s := a.Span; s != nil {
		how := "not read by the model, which answered from its memory"
		if s.Read {
			how = "read by the model before it answered"
		}
		fmt.Fprintf(&b, "captions: %d of %d, %s\n", len(s.Captions), s.Logged, how)
		printCaptions(&b, s.Captions)
	}
	_, err := io.WriteString(out, b.String())
	return err
}

func printCaptions(b *strings.Builder, lines []wire.CaptionLine) {
	for _, l := range lines {
		fmt.Fprintf(b, "   %s  %s\n", time.UnixMilli(l.Time).Format(time.DateTime), printable(l.Text))
	}
}

func moment(frame, at int64, ageMS float64) string {
	ago := time.Duration(ageMS * float64(time.Millisecond)).Round(time.Second)
	return fmt.Sprintf("frame set %d, %s, %v ago", frame, time.UnixMilli(at).Format(time.DateTime), ago)
}

func toJSON(q *wire.Ask, a *wire.Answer) jsonAnswer {
	j := jsonAnswer{
		Type: "answer", Scene: a.Scene, Question: q.Question, Text: a.Text, Frame: a.Frame,
		Time: time.UnixMilli(a.Time), AgeMS: round(a.AgeMS, 1e3), Tokens: a.Tokens,
		MS: jsonAnswerTime{round(a.MS.First, 1e3), round(a.MS.Total, 1e3)},
	}
	if c := a.Change; c != nil {
		j.Change = &jsonChange{
			Then: c.Then, Now: c.Now, Gone: append([]string{}, c.Gone...), New: append([]string{}, c.New...),
			Frame: c.Frame, Time: time.UnixMilli(c.Time), AgeMS: round(c.AgeMS, 1e3),
			Captions: jsonCaptions(c.Captions), More: c.More,
		}
	}
	if s := a.Span; s != nil {
		j.Span = &jsonSpan{jsonCaptions(s.Captions), s.Logged, s.Read}
	}
	return j
}

func jsonCaptions(lines []wire.CaptionLine) []jsonCaptionLine {
	all := make([]jsonCaptionLine, len(lines))
	for i, l := range lines {
		all[i] = jsonCaptionLine{time.UnixMilli(l.Time), l.Frame, l.Text}
	}
	return all
}
