package watchdog

import (
	"context"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// Notify tells the service manager of the state with the given assignments, READY=1
// for example. Without a manager it does nothing. A manager that does not listen, which
// daemon.SdNotify would wait for, is an error after a second: nothing here may hang.
func Notify(state ...string) error {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return nil
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Net: "unixgram", Name: path})
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SetWriteDeadline(time.Now().Add(time.Second)); err != nil {
		return err
	}
	_, err = c.Write([]byte(strings.Join(state, "\n")))
	return err
}

// Assignments for [Notify].
const (
	Ready    = daemon.SdNotifyReady // everything runs; also after Reloading
	Stopping = daemon.SdNotifyStopping
)

// Extend asks for so much time before the next message, while edged is being started.
func Extend(d time.Duration) string { return fmt.Sprintf("EXTEND_TIMEOUT_USEC=%d", d.Microseconds()) }

// Reloading says that the configuration is being read again, and when that began.
func Reloading() string {
	return daemon.SdNotifyReloading + "\n" + strings.TrimSpace(daemon.SdNotifyMonotonicUsec())
}

// Status is one line for people, shown by "systemctl status".
func Status(text string) string {
	return "STATUS=" + strings.Join(strings.Fields(text), " ")
}

// Period is the time within which the service manager wants to hear a sign of life;
// where it does not, or there is none, parts are looked at as if it were a minute.
func Period() (time.Duration, error) {
	d, err := daemon.SdWatchdogEnabled(false)
	if d <= 0 {
		d = time.Minute
	}
	return d, err
}

// Run looks at the parts four times in each period until ctx ends. As long as all of
// them move the service manager is told so. A part that is silent for between a half
// and three quarters of the period is frozen: then the manager is told to act at once,
// and tell, which may not wait, gets the names of those that are, and no names when
// they move again. A manager older than systemd 243 hears nothing more and acts when
// the period is over.
func (w *Watchdog) Run(ctx context.Context, period time.Duration, tell func(frozen []string)) {
	tick := time.NewTicker(period / 4)
	defer tick.Stop()
	var before []string
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		frozen := w.look()
		if !slices.Equal(frozen, before) {
			tell(frozen)
			before = frozen
		}
		state := daemon.SdNotifyWatchdog
		if len(frozen) > 0 {
			state = "WATCHDOG=trigger"
		}
		// A manager that does not hear this one may hear the next.
		_ = Notify(state)
	}
}
