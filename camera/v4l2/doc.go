// Package v4l2 takes pictures from the cameras of Linux: webcams and whatever
// else is a capture node of Video4Linux.
//
// It stands on blackjack/webcam v0.6.1 and does itself what that library loses:
// the format and stride that the driver really set, the kind of a node
// (device_caps), sequence number, time stamp and error flag of each buffer,
// waiting in milliseconds, and unmapping the buffers of a start that failed;
// mapped, they would keep the camera busy until the process ends.
//
// [Kind] is the kind of source that [camera.Open] calls "v4l2", [List] tells of
// every node, usable or not and why.
package v4l2
