// Command simgen is the data generator of the demo model's training: many
// simulated rooms at once, a segment of frame sets of each per request. The
// pictures come from the renderer that the demo shows and go through the
// preprocessing that camera pictures go through.
//
// It reads one JSON request per line, {"T":4}, and answers each with a uint32
// (little endian) length, that many bytes of JSON (type segment), the pictures
// as uint8 [T,B,K,S,S,3] and the object index of each patch as uint8
// [T,B,K,G,G].
package main

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"

	"github.com/visualrwkv/edged/camera/sim"
)

func main() {
	if err := run(os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "simgen:", err)
		os.Exit(1)
	}
}

// maxSegment bounds one request; the answer is built in memory.
const maxSegment = 64

func run(args []string, stdin io.Reader, stdout io.Writer) error {
	fs := flag.NewFlagSet("simgen", flag.ContinueOnError)
	var o options
	fs.Uint64Var(&o.seed, "seed", 1, "seed of the streams")
	fs.StringVar(&o.split, "split", "train", "train, val or test: their seeds never meet")
	fs.IntVar(&o.streams, "streams", 8, "rooms at once (B)")
	fs.IntVar(&o.views, "views", 2, "views of each room (K)")
	fs.IntVar(&o.size, "size", 96, "side of the model's picture (S)")
	fs.IntVar(&o.grid, "grid", 8, "patches along a side (G)")
	fs.IntVar(&o.questions, "questions", 4, "questions per frame set")
	fs.IntVar(&o.longest, "long", 400, "frame sets that the longest streams live")
	fs.Float64Var(&o.short, "short", 0.5, "share of streams that live briefly")
	fs.Float64Var(&o.life, "life", 8, "frame sets that those live, on average")
	vocab := fs.Bool("vocab", false, "print the vocabulary file and end")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if *vocab {
		return printVocabulary(stdout)
	}
	if o.streams < 1 || o.views < 1 || o.views > 4 || o.size < 8 || o.grid < 1 || o.size%o.grid != 0 {
		return fmt.Errorf("bad sizes: %d streams, %d views, %d pixels, %d patches", o.streams, o.views, o.size, o.grid)
	}
	g, err := newGenerator(o)
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(stdout, 1<<20)
	lines := bufio.NewScanner(stdin)
	for lines.Scan() {
		var req struct{ T int }
		if err := json.Unmarshal(lines.Bytes(), &req); err != nil {
			return fmt.Errorf("request %q: %w", lines.Text(), err)
		}
		if req.T < 1 || req.T > maxSegment {
			return fmt.Errorf("request for %d frame sets: 1 to %d", req.T, maxSegment)
		}
		if err := g.segment(out, req.T); err != nil {
			return err
		}
		if err := out.Flush(); err != nil {
			return err
		}
	}
	return lines.Err()
}

// printVocabulary writes the RWKV text format: id, Python literal, byte length.
func printVocabulary(w io.Writer) error {
	for i, t := range sim.Vocabulary() {
		if _, err := fmt.Fprintf(w, "%d %s %d\n", i+1, quote(t), len(t)); err != nil {
			return err
		}
	}
	return nil
}

// quote writes t as a Python string literal; the language is ASCII without quotes.
func quote(t string) string {
	q := strconv.Quote(t)
	return "'" + q[1:len(q)-1] + "'"
}

func writeSegment(w io.Writer, s *segment, pictures, patches []byte) error {
	head, err := json.Marshal(s)
	if err != nil {
		return err
	}
	var n [4]byte
	binary.LittleEndian.PutUint32(n[:], uint32(len(head)))
	for _, b := range [][]byte{n[:], head, pictures, patches} {
		if _, err := w.Write(b); err != nil {
			return err
		}
	}
	return nil
}
