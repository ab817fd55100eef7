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

	"github.com/visualrwkv/edged/client"
	"github.com/visualrwkv/edged/wire"
)

const askAbout = `Asks a running edged (or edged demo) a question about what it sees and has seen,
and prints the answer as it is written. Without QUESTION, or with "-", the
question is read from the standard input. A question that begins with a dash, or
has words that do, goes after "--".`

type jsonAnswer struct {
	Type     string         `json:"type"`
	Scene    string         `json:"scene"`
	Question string         `json:"question"`
	Text     string         `json:"text"`
	Frame    int64          `json:"frame"` // frame sets the memory held
	Time     time.Time      `json:"time"`  // of the newest of them
	Tokens   int64          `json:"tokens"`
	MS       jsonAnswerTime `json:"ms"`
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
	at := fs.String("at", "", "ask about an earlier `time` (not kept by this version)")
	diff := fs.String("diff", "", "ask what changed since a `time` (not kept by this version)")
	asJSON := fs.Bool("json", false, "print the answer as one JSON object")
	words, code, ok := parseMixed(fs, args, std.out, std.err)
	if !ok {
		return code
	}
	if *at != "" || *diff != "" {
		fmt.Fprintln(std.err, "edged ask: -at and -diff need saved snapshots, and this version of edged keeps none; without them the newest memory answers")
		return exitFailed
	}
	question, err := readQuestion(words, std.in)
	if err != nil {
		return wrongUse(fs, std.err, err.Error())
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := ask(ctx, socketPath(*socket), *scene, question, *asJSON, std.out); err != nil {
		fmt.Fprintln(std.err, "edged ask:", err)
		return exitFailed
	}
	return exitOK
}

// readQuestion takes the question from the arguments or from in.
func readQuestion(args []string, in io.Reader) (string, error) {
	q := strings.Join(args, " ")
	if q == "" || q == "-" {
		if f, ok := in.(*os.File); ok && q == "" {
			if w, _ := terminalSize(f); w > 0 {
				return "", errors.New("no question")
			}
		}
		b, err := io.ReadAll(io.LimitReader(in, wire.MaxFrame))
		if err != nil {
			return "", err
		}
		q = string(b)
	}
	if q = strings.TrimSpace(q); q == "" {
		return "", errors.New("no question")
	}
	return q, nil
}

func ask(ctx context.Context, path, scene, question string, asJSON bool, out io.Writer) error {
	c, err := client.Dial(ctx, path, &client.Options{Name: "edged ask"})
	if err != nil {
		return err
	}
	defer c.Close()
	for part, err := range c.Ask(ctx, &wire.Ask{Scene: scene, Question: question}) {
		if err != nil {
			return err
		}
		if !asJSON {
			if _, err := io.WriteString(out, printable(part.Text)); err != nil {
				return err
			}
		}
		if a := part.Answer; a != nil && asJSON {
			return printJSON(out, jsonAnswer{
				Type: "answer", Scene: a.Scene, Question: question, Text: a.Text, Frame: a.Frame,
				Time: time.UnixMilli(a.Time), Tokens: a.Tokens,
				MS: jsonAnswerTime{round(a.MS.First, 1e3), round(a.MS.Total, 1e3)},
			})
		}
	}
	_, err = fmt.Fprintln(out)
	return err
}
