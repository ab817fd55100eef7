package pipe

import (
	"bufio"
	"errors"
	"fmt"
	"image"
	"io"
	"strconv"
	"strings"
)

// maxY4MLine is far more than any program writes into a header of YUV4MPEG2.
const maxY4MLine = 512

// y4m is YUV4MPEG2: a line about the stream, and a line before each picture. Unlike bare
// pictures it says how large they are, which with RTSP only the camera knows.
var y4m = format{head: y4mHead, mark: y4mMark}

// y4mHead reads "YUV4MPEG2 W640 H480 F25:1 C420jpeg ...".
func y4mHead(r *bufio.Reader) (image.Point, error) {
	l, err := y4mLine(r)
	if err != nil {
		return image.Point{}, err
	}
	magic, rest, _ := strings.Cut(l, " ")
	if magic != "YUV4MPEG2" {
		return image.Point{}, fmt.Errorf("its output begins with %.20q and is no YUV4MPEG2", l)
	}
	var size image.Point
	for f := range strings.FieldsSeq(rest) {
		switch value := f[1:]; f[0] {
		case 'W':
			size.X, err = strconv.Atoi(value)
		case 'H':
			size.Y, err = strconv.Atoi(value)
		case 'C':
			// The kinds of 4:2:0 differ in where chroma was sampled, by half a pixel.
			// 4:2:0 of more bits is called 420p10 and so on.
			if !strings.HasPrefix(value, "420") || strings.HasPrefix(value, "420p1") {
				err = errors.New("unknown samples")
			}
		}
		if err != nil {
			return image.Point{}, fmt.Errorf("the field %.20q in its header %.60q: %w", f, l, err)
		}
	}
	return size, checkSize(size.X, size.Y)
}

// y4mMark reads the line before a picture.
func y4mMark(r *bufio.Reader) error {
	l, err := y4mLine(r)
	if err != nil {
		return err
	}
	if l != "FRAME" && !strings.HasPrefix(l, "FRAME ") {
		return fmt.Errorf("its output has %.20q where a picture should begin", l)
	}
	return nil
}

// y4mLine reads a line without its end. Output that ends within one is unexpected.
func y4mLine(r *bufio.Reader) (string, error) {
	var line []byte
	for len(line) < maxY4MLine {
		c, err := r.ReadByte()
		switch {
		case err == io.EOF && len(line) > 0:
			return "", io.ErrUnexpectedEOF
		case err != nil:
			return "", err
		case c == '\n':
			return string(line), nil
		}
		line = append(line, c)
	}
	return "", fmt.Errorf("its output has no line where one should be: %.20q", line)
}
