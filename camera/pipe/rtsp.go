package pipe

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/visualrwkv/edged/camera"
)

const ffmpeg = "ffmpeg"

var errURL = errors.New("this is no URL; in a user or password, characters like / @ : ? # are written %2F %40 %3A %3F %23")

// errNoFFmpeg says what to do.
var errNoFFmpeg = errors.New("rtsp: needs the program ffmpeg, which is not installed (apt install ffmpeg)")

// RTSP understands what follows "rtsp:" (or, by scheme, "rtsps:") in a spec,
// //[USER:PASSWORD@]HOST[:PORT]/PATH. Pictures are made to fit into the wished size in the
// camera's proportions, never larger than they are.
func RTSP(scheme, rest string, o *camera.Options) (camera.Kind, error) {
	u, err := url.Parse(scheme + ":" + rest)
	if err != nil {
		return camera.Kind{}, errURL // err quotes the URL, and the password with it
	}
	if u.Host == "" {
		return camera.Kind{}, fmt.Errorf("want %s://HOST/PATH", scheme)
	}
	w, h := o.Width, o.Height
	if w <= 0 || h <= 0 {
		w, h = defaultWidth, defaultHeight
	}
	return camera.Kind{
		Repeats:  time.Minute,                    // between key frames, video of what stands still repeats
		Patience: firstPatience + 10*time.Second, // those of stream are shorter and know more
		Open: func(ctx context.Context) (camera.Source, error) {
			path, err := exec.LookPath(ffmpeg)
			if err != nil {
				return nil, errNoFFmpeg
			}
			mode, err := frameMode(ctx, path)
			if err != nil {
				return nil, err
			}
			p, err := start(path, ffmpegArgs(u.String(), mode, w, h, o.Rate), secrets(u))
			if err != nil {
				return nil, err
			}
			return newStream(p, y4m), nil
		},
	}, nil
}

// The size that is asked for when none is wished.
const (
	defaultWidth  = 640
	defaultHeight = 480
)

// ffmpegArgs asks for the first video stream as YUV4MPEG2. mode is the option that keeps
// ffmpeg from repeating pictures to keep a constant rate: a picture that stays the same
// must look like a camera that has stopped. Nor need ffmpeg learn the rate: it would drop
// twenty pictures for that, seconds of a slow camera.
func ffmpegArgs(url, mode string, w, h int, rate float64) []string {
	var filters []string
	if rate > 0 {
		filters = append(filters, `select=isnan(prev_selected_t)+gte(t-prev_selected_t\,`+strconv.FormatFloat(0.95/rate, 'f', 4, 64)+`)`)
	}
	filters = append(filters, fmt.Sprintf(
		`scale=w=min(%d\,iw):h=min(%d\,ih):force_original_aspect_ratio=decrease:force_divisible_by=2:out_range=full:out_color_matrix=bt601`, w, h), "format=yuv420p")
	return []string{
		"-nostdin", "-hide_banner", "-loglevel", "error",
		"-rtsp_transport", "tcp", "-fflags", "nobuffer", "-flags", "low_delay", "-fpsprobesize", "0", "-i", url,
		"-map", "0:v:0", "-vf", strings.Join(filters, ","), mode, "passthrough",
		"-f", "yuv4mpegpipe", "-strict", "-1", "pipe:1",
	}
}

var ffmpegVersion = regexp.MustCompile(`^ffmpeg version n?(\d+)\.(\d+)`)

// frameMode returns the name of the option that was called -vsync before ffmpeg 5.1.
func frameMode(ctx context.Context, path string) (string, error) {
	cmd := exec.CommandContext(ctx, path, "-version")
	cmd.WaitDelay = killGrace
	out, err := cmd.Output()
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	if err != nil {
		return "", fmt.Errorf("%s -version: %w", path, err)
	}
	if m := ffmpegVersion.FindSubmatch(out); m != nil {
		major, _ := strconv.Atoi(string(m[1]))
		minor, _ := strconv.Atoi(string(m[2]))
		if major < 5 || major == 5 && minor < 1 {
			return "-vsync", nil
		}
	}
	return "-fps_mode", nil // also of those built from between two versions
}

// secrets are the parts of a URL that may not be shown, in all the ways that a helper may
// write them.
func secrets(u *url.URL) []string {
	var all []string
	if u.User != nil {
		all = append(all, u.User.String()+"@")
		if p, _ := u.User.Password(); p != "" {
			all = append(all, p, url.QueryEscape(p), url.PathEscape(p))
		}
	}
	if u.RawQuery != "" {
		all = append(all, u.RawQuery)
	}
	return all
}
