package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"syscall"

	"github.com/visualrwkv/edged/quant"
	"github.com/visualrwkv/edged/vlm"
	"github.com/visualrwkv/edged/weights"
)

// mixed is the type of files whose matrices are int4 or int8, each as it needs.
const mixed = "mixed"

const defaultBits = 4.5

// quantizeMain makes a smaller file of a GGUF file.
func quantizeMain(args []string, stdout, stderr io.Writer) int {
	fs := newFlags("quantize", "IN.gguf -o OUT.gguf -type TYPE [-calib sim|FOLDER] [-bits B] [-report FILE] [-svg FILE]",
		"Makes a smaller model file of a larger one. int8 and int4 are packed in the order in which this\n"+
			"program's kernels read them, and the faster ones here; q8_0 and q4_0 are the block types of GGUF.\n"+
			"The types of four bits leave embedding, head and towers in eight.\n\n"+
			"With -calib the model looks at simulated rooms or at the pictures of a folder, and errors are\n"+
			"rounded so that they make up for each other there; then the result is compared with the original on\n"+
			"others, and the file says how they differ (edged inspect). mixed chooses int4 or int8 for each\n"+
			"matrix, by how much the model differs with that matrix in int4.")
	q := quantization{stderr: stderr}
	fs.StringVar(&q.out, "o", "", "`file` to write; replaced when all is done")
	typ := fs.String("type", "", "`type`: int8, int4, mixed, q8_0 or q4_0")
	fs.StringVar(&q.calib, "calib", "", "what to calibrate on: sim, or a `folder` of pictures, of which every other frame set is for the comparison")
	fs.Float64Var(&q.bits, "bits", 0, fmt.Sprintf("with mixed: bits per value of all matrices, scales included, at most (default %g)", defaultBits))
	fs.IntVar(&q.clips, "clips", 400, "with -calib sim: clips of each sort on which original and result are evaluated as edged eval -sim does; 0 for none")
	fs.StringVar(&q.report, "report", "", "with -calib: JSON `file` with what the model file says about its quantisation")
	fs.StringVar(&q.svg, "svg", "", "with -calib: SVG `file` with the error of each matrix")
	quiet := fs.Bool("quiet", false, "no progress")
	files, code, ok := parseMixed(fs, args, stdout, stderr)
	if !ok {
		return code
	}
	if len(files) != 1 || q.out == "" {
		return wrongUse(fs, stderr, "want one input file and -o")
	}
	t, ok := convertType(*typ)
	switch {
	case *typ != mixed && (!ok || t != quant.Q8_0 && t != quant.Q4_0 && !t.Packed()):
		return wrongUse(fs, stderr, fmt.Sprintf("unknown type %q: int8, int4, mixed, q8_0 or q4_0", *typ))
	case *typ == mixed && q.calib == "":
		return wrongUse(fs, stderr, "mixed needs -calib")
	case *typ != mixed && q.bits != 0:
		return wrongUse(fs, stderr, "-bits goes with mixed")
	case *typ == mixed && !(q.bits >= 0 && q.bits < 16):
		return wrongUse(fs, stderr, "-bits: want a number from 4 to 9")
	case q.calib != "" && *typ != mixed && !t.Packed():
		return wrongUse(fs, stderr, "-calib goes with int8, int4 and mixed")
	case q.calib == "" && (q.report != "" || q.svg != ""):
		return wrongUse(fs, stderr, "-report and -svg go with -calib")
	case q.clips < 0:
		return wrongUse(fs, stderr, "-clips must not be negative")
	}
	if *typ == mixed && q.bits == 0 {
		q.bits = defaultBits
	}
	if err := checkSource(files[0], stderr); err != nil {
		fmt.Fprintln(stderr, "edged quantize:", err)
		return exitInput
	}
	if q.calib == "" {
		c := conversion{out: q.out, typ: t, quiet: *quiet}
		return c.run("edged quantize", files, "", "", stderr)
	}
	if !*quiet {
		q.progress = func(what string) { fmt.Fprintln(stderr, what) }
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	return q.run(ctx, files[0], t, stdout)
}

// checkSource refuses files of other formats, which lack what a model file
// holds, and warns of a source that has lost digits already.
func checkSource(path string, stderr io.Writer) error {
	f, err := weights.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if f.Format() != "gguf" {
		return fmt.Errorf("%s: is %s, not GGUF; use edged convert", path, f.Format())
	}
	for _, t := range vlm.Weights(f) {
		if t.Packed || t.Type == weights.Q8_0.String() || t.Type == weights.Q4_0.String() {
			fmt.Fprintf(stderr, "edged quantize: %s is quantised already (%s is %s); a file of f16 or f32 gives a better result\n", path, t.Name, t.Type)
			break
		}
	}
	return nil
}

// quantization is one run of quantize with calibration.
type quantization struct {
	out, calib  string
	bits        float64
	clips       int
	report, svg string
	stderr      io.Writer
	progress    func(what string)
}

func (q *quantization) run(ctx context.Context, in string, typ quant.Type, stdout io.Writer) int {
	fail := func(code int, err error) int {
		fmt.Fprintln(q.stderr, "edged quantize:", err)
		return code
	}
	src, err := vlm.OpenSource(in)
	if err != nil {
		return fail(exitInput, err)
	}
	defer src.Close()
	desc, err := src.Describe(nil, nil)
	if err == nil {
		err = watches(desc, viewsOf(desc, q.calib))
	}
	if err != nil {
		return fail(exitInput, fmt.Errorf("%s: %w", in, err))
	}
	c, err := newCalibration(q.calib, viewsOf(desc, q.calib), q.clips)
	if err != nil {
		return fail(exitInput, err)
	}
	r, err := src.Quantize(ctx, q.out, desc, vlm.QuantizeOptions{
		Type: typ, Bits: q.bits, Calibration: c.name, Progress: q.progress,
		Show:       func(ctx context.Context, m *vlm.Model) error { return show(ctx, m, c.learn) },
		Divergence: c.divergence(),
		Measure: func(ctx context.Context, path string, r *vlm.Quantization) error {
			return c.measure(ctx, in, path, r)
		},
	})
	if err != nil {
		if _, ok := errors.AsType[*fs.PathError](err); ok || ctx.Err() != nil {
			return fail(exitFailed, err)
		}
		return fail(exitInput, fmt.Errorf("%s: %w", in, err))
	}
	if err := q.write(r, stdout); err != nil {
		return fail(exitFailed, err)
	}
	return exitOK
}

// write writes the report in all its forms.
func (q *quantization) write(r *vlm.Quantization, stdout io.Writer) error {
	if q.report != "" {
		err := weights.WriteFile(q.report, func(w io.Writer) error {
			e := json.NewEncoder(w)
			e.SetIndent("", "  ")
			return e.Encode(r)
		})
		if err != nil {
			return err
		}
	}
	if q.svg != "" {
		if err := weights.WriteFile(q.svg, func(w io.Writer) error { return errorChart(r).WriteSVG(w) }); err != nil {
			return err
		}
	}
	info, err := os.Stat(q.out)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(stdout, "%s, %d bytes\n%s", q.out, info.Size(), quantizationText(r))
	return err
}
