// Package watchdog tells a service manager how edged is: that it is ready, what it
// does, and that it is alive, as long as everything in it moves.
//
// Whatever has to go on for ever is a part with a [Pulse] that it beats while it
// works. systemd hears WATCHDOG=1 only when every part has beaten or rests; when one
// is frozen it hears that instead, and starts edged anew (docs/service.md). A camera
// that is gone freezes nothing: who tries to open it again moves.
package watchdog
