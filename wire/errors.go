package wire

import (
	"context"
	"errors"
	"fmt"
)

// Codes of [Error].
const (
	CodeProtocol = "protocol"    // bytes that are no frame of this protocol, or another version; the connection is closed
	CodeUnknown  = "unknown"     // a type of request this server does not know
	CodeRequest  = "bad_request" // a request that cannot be served as it is
	CodeScene    = "no_scene"    // no scene of that name
	CodeDenied   = "denied"      // this client may not do that
	CodeMissing  = "not_here"    // this server is set up without what was asked for
	CodeBusy     = "busy"        // too many clients or requests; try later
	CodeNotReady = "not_ready"   // nothing has been seen yet
	CodeNotKept  = "not_kept"    // nothing is kept from before the time asked about
	CodeCanceled = "canceled"    // ended by the client's cancel
	CodeDeadline = "deadline"    // the request's own deadline has passed
	CodeClosing  = "closing"     // the server stops
	CodeInternal = "internal"    // anything else
)

// Error ends a request, or with id 0 the connection. A [Handler] returns one to
// choose the code; the client returns those it gets.
type Error struct {
	Code    string `msgpack:"code"`
	Message string `msgpack:"message"`
}

func (e *Error) Error() string { return e.Message + " (" + e.Code + ")" }

// Errorf makes an [Error] of the given code.
func Errorf(code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

func toError(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return &Error{Code: Code(err), Message: err.Error()}
}

// Code of err: that of the [Error] in its chain, [CodeCanceled] for a context's
// end, else [CodeInternal].
func Code(err error) string {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return CodeCanceled
	}
	return CodeInternal
}
