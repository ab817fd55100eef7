package main

import (
	"context"
	"encoding/json"
	"fmt"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/visualrwkv/edged/camera"
	"github.com/visualrwkv/edged/camera/kinds"
	"github.com/visualrwkv/edged/camera/v4l2"
)

// snapPatience is how long a camera may take to its picture.
const snapPatience = 10 * time.Second

// cameraReport is a node as "edged cams -json" prints it.
type cameraReport struct {
	Path    string         `json:"path"`
	Spec    string         `json:"spec"`
	Card    string         `json:"card"`
	Driver  string         `json:"driver"`
	Bus     string         `json:"bus"`
	Serial  string         `json:"serial,omitempty"`
	OK      bool           `json:"ok"`
	Mode    string         `json:"mode,omitempty"`
	Reason  string         `json:"reason,omitempty"`
	Formats []formatReport `json:"formats"`
	Snap    string         `json:"snap,omitempty"`
}

type formatReport struct {
	Format string       `json:"format"`
	Sizes  []sizeReport `json:"sizes"`
}

type sizeReport struct {
	Width     int       `json:"width"`
	Height    int       `json:"height"`
	MaxWidth  int       `json:"max_width,omitempty"`
	MaxHeight int       `json:"max_height,omitempty"`
	Rates     []float64 `json:"rates"`
}

// camsMain lists cameras.
func camsMain(args []string, stdout, stderr io.Writer) int {
	fs := newFlags("cams", "[-snap DIR] [-json]",
		"Lists every video device: what it can do, how to name it, and why it cannot be used if so.\nExits with 1 when a camera that should work gave no picture for -snap.")
	snap := fs.String("snap", "", "save a picture of each camera in this `folder`")
	asJSON := fs.Bool("json", false, "print one JSON object")
	if code, ok := parseFlags(fs, args, stdout, stderr); !ok {
		return code
	}
	if fs.NArg() > 0 {
		return wrongUse(fs, stderr, "unknown argument "+fs.Arg(0))
	}
	if *snap != "" {
		if err := os.MkdirAll(*snap, 0o777); err != nil {
			fmt.Fprintln(stderr, "edged cams:", err)
			return exitFailed
		}
	}
	code := exitOK
	cams := []cameraReport{}
	for _, n := range v4l2.List() {
		r := reportCamera(n)
		if *snap != "" && r.OK {
			var err error
			if r.Snap, err = snapCamera(r.Spec, *snap, filepath.Base(r.Path)); err != nil {
				r.OK, r.Reason, code = false, err.Error(), exitFailed
			}
		}
		cams = append(cams, r)
	}
	if err := printCameras(stdout, cams, *asJSON); err != nil {
		fmt.Fprintln(stderr, "edged cams:", err)
		return exitFailed
	}
	return code
}

func reportCamera(n v4l2.Node) cameraReport {
	r := cameraReport{
		Path: n.Path, Spec: n.Spec, Card: n.Card, Driver: n.Driver, Bus: n.Bus, Serial: n.Serial,
		OK: n.Reason == "", Mode: n.Mode, Reason: n.Reason, Formats: []formatReport{},
	}
	for _, f := range n.Formats {
		fr := formatReport{Format: f.FourCC.String(), Sizes: []sizeReport{}}
		for _, s := range f.Sizes {
			sr := sizeReport{Width: s.Width, Height: s.Height, Rates: append([]float64{}, s.Rates...)}
			if s.MaxWidth > s.Width || s.MaxHeight > s.Height {
				sr.MaxWidth, sr.MaxHeight = s.MaxWidth, s.MaxHeight
			}
			fr.Sizes = append(fr.Sizes, sr)
		}
		r.Formats = append(r.Formats, fr)
	}
	return r
}

// snapCamera saves a picture as dir/name.png.
func snapCamera(spec, dir, name string) (string, error) {
	var all kinds.Set
	c, err := all.Open(spec, &camera.Options{Decode: decodePicture})
	if err != nil {
		return "", err
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), snapPatience)
	defer cancel()
	for {
		f, err := c.Next(ctx)
		if err != nil {
			return "", fmt.Errorf("no picture in %v: %s", snapPatience, c.Status().Reason)
		}
		if f.Decode() != nil {
			f.Release()
			continue
		}
		path := filepath.Join(dir, name+".png")
		err = writeNew(path, func(w io.Writer) error { return png.Encode(w, f.Image) })
		f.Release()
		return path, err
	}
}

func writeNew(path string, write func(io.Writer) error) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := write(f); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

func printCameras(w io.Writer, cams []cameraReport, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(w).Encode(map[string]any{"cameras": cams})
	}
	if len(cams) == 0 {
		_, err := fmt.Fprintln(w, "no video device: plug in a camera; a CSI camera is used as csi:0 and not listed here")
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, c := range cams {
		state := "OK, " + c.Mode
		if !c.OK {
			state = c.Reason
		}
		fmt.Fprintf(t, "%s\t%s\t%s\n", c.Spec, c.Card, state)
		for _, f := range c.Formats {
			fmt.Fprintf(t, "    %s\t%s\t\n", f.Format, sizesText(f.Sizes))
		}
	}
	return t.Flush()
}

// sizesText names sizes with the fastest rate of each.
func sizesText(sizes []sizeReport) string {
	var all []string
	for _, s := range sizes {
		text := fmt.Sprintf("%dx%d", s.Width, s.Height)
		if s.MaxWidth > 0 {
			text += fmt.Sprintf("..%dx%d", s.MaxWidth, s.MaxHeight)
		}
		if len(s.Rates) > 0 {
			text += fmt.Sprintf(" %.4g/s", s.Rates[0])
		}
		all = append(all, text)
	}
	return strings.Join(all, ", ")
}
