package wire

// Protocol is the version of the protocol described here. A server answers a
// [Hello] of another version with an [Error] of code [CodeProtocol] and closes.
const Protocol = 1

// Message is a body that can travel in a frame: one of the request and reply
// structs of this package, by pointer.
type Message interface {
	// Kind is the value of the frame's "type" key.
	Kind() string
}

// Times in messages are Unix times in milliseconds, durations are milliseconds
// in floating point, sizes are bytes.

// Hello opens a connection; it must be the first request. Its reply is [Welcome].
type Hello struct {
	Protocol int64  `msgpack:"protocol"`
	Client   string `msgpack:"client,omitempty"` // free text for the server's log
}

// Welcome is the reply to [Hello].
type Welcome struct {
	Protocol int64    `msgpack:"protocol"`
	Server   string   `msgpack:"server"`  // name of the server, "edged"
	Version  string   `msgpack:"version"` // version of the server's program
	Model    string   `msgpack:"model"`   // general.name of the model
	Scenes   []string `msgpack:"scenes"`  // names, in the order of the configuration
	Role     string   `msgpack:"role"`    // what this client may do: view, ask or admin; set by the server
	Log      bool     `msgpack:"log"`     // events are kept: they can be searched, and a watch can begin in the past
}

// GetStatus asks for one [Status].
type GetStatus struct{}

// GetScenes asks for one [Scenes].
type GetScenes struct{}

// Watch asks for the stream of [Event]s from one of them or from now on. It ends
// with [End] when the client cancels it or there will be no more, else with [Error].
type Watch struct {
	Scene string `msgpack:"scene,omitempty"` // empty: every scene
	From  uint64 `msgpack:"from,omitempty"`  // sequence number of the first; 0: from now on
	Lang  string `msgpack:"lang,omitempty"`  // of captions those in this language only; empty: in every one
}

// Search asks for events that were kept. The reply is any number of [Event]s in
// the order of their sequence numbers, and [End]. Zero fields do not restrict.
type Search struct {
	Scene  string  `msgpack:"scene,omitempty"`
	Event  string  `msgpack:"event,omitempty"`  // EventCaption, EventAlert or EventState
	Lang   string  `msgpack:"lang,omitempty"`   // of captions those in this language only
	From   uint64  `msgpack:"from,omitempty"`   // the first sequence number
	To     uint64  `msgpack:"to,omitempty"`     // the last
	Within float64 `msgpack:"within,omitempty"` // no older than this duration
	Match  string  `msgpack:"match,omitempty"`  // regular expression (RE2) that matches the text
	Limit  int64   `msgpack:"limit,omitempty"`  // how many at once, at most and by default MaxFound
	Newest bool    `msgpack:"newest,omitempty"` // of more than that the newest instead of the oldest
}

// MaxFound is how many events one search gives; End.Next goes on.
const MaxFound = 1000

// Ask asks a question about what a scene's memory holds, or held. The reply is any
// number of [Piece]s and one [Answer].
//
// At and Diff are moments: 0 is now, a negative number so many milliseconds before
// now, which no jump of a clock disturbs, a positive one a Unix time. The newest
// memory kept from that moment or before it is taken.
type Ask struct {
	Scene    string  `msgpack:"scene,omitempty"` // empty: the only scene
	Question string  `msgpack:"question"`
	At       int64   `msgpack:"at,omitempty"`       // answer as it would have been answered then
	Diff     int64   `msgpack:"diff,omitempty"`     // compare with the memory of then, see [Change]; 0: with none
	Since    int64   `msgpack:"since,omitempty"`    // a moment as well: take along the captions written since then, see [Span]; not with Diff
	Deadline float64 `msgpack:"deadline,omitempty"` // how long the answer may take; 0: as long as it takes
}

// GetSnapshots asks for one [Snapshots].
type GetSnapshots struct {
	Scene string `msgpack:"scene,omitempty"` // empty: the only scene
}

// Admin tells the server to do something. The reply is [Done].
type Admin struct {
	Action string `msgpack:"action"`
	Scene  string `msgpack:"scene,omitempty"` // empty: every scene; forget: the only one
}

// Values of [Admin].Action.
const (
	ActionReload = "reload" // read the configuration again
	ActionPause  = "pause"  // look at no more pictures
	ActionResume = "resume" // look again
	ActionForget = "forget" // delete what the scene's memory holds, and its snapshots
)

// Cancel ends the request whose id its frame carries. It has no reply of its
// own: a watch ends with [End], any other request with [Error] of code
// [CodeCanceled], or with its result if that was already on its way.
type Cancel struct{}

// Status is the reply to [GetStatus].
type Status struct {
	Version    string        `msgpack:"version"`
	Model      string        `msgpack:"model"`
	Bundle     string        `msgpack:"bundle,omitempty"`  // that the model is from, for people
	Backend    string        `msgpack:"backend,omitempty"` // kernels in use
	Time       int64         `msgpack:"time"`
	UptimeMS   float64       `msgpack:"uptime_ms"`
	RSSBytes   int64         `msgpack:"rss_bytes"`      // resident memory of the server
	StateBytes int64         `msgpack:"state_bytes"`    // one scene's memory
	Goroutines int64         `msgpack:"goroutines"`     // of the server; constant but for clients and questions
	Asking     int64         `msgpack:"asking"`         // questions in flight
	Zone       string        `msgpack:"zone,omitempty"` // what Celsius is of; empty: no temperature is known
	Celsius    float64       `msgpack:"celsius"`
	Duty       float64       `msgpack:"duty"`               // share of the time for work, 1 unless it is too warm
	Problems   []string      `msgpack:"problems,omitempty"` // what is wrong with the server itself, for people
	Scenes     []SceneStatus `msgpack:"scenes"`
	Log        *LogStatus    `msgpack:"log,omitempty"` // nil: events are not kept

	Plugins []PluginStatus `msgpack:"plugins,omitempty"` // scene by scene, in the order in which they are asked
}

// LogStatus is the part of [Status] about the events that are kept.
type LogStatus struct {
	Records int64  `msgpack:"records"`         // events on disk
	Bytes   int64  `msgpack:"bytes"`           // that they take
	First   uint64 `msgpack:"first"`           // sequence number of the oldest, 0: there is none
	Next    uint64 `msgpack:"next"`            // of the next, 0: not known yet
	Pending int64  `msgpack:"pending"`         // events that wait for the disk
	Lost    int64  `msgpack:"lost,omitempty"`  // events given up since the disk takes none
	Error   string `msgpack:"error,omitempty"` // why it takes none; empty: it does

	MaxBytes int64   `msgpack:"max_bytes,omitempty"`  // that events may take on disk
	MaxAgeMS float64 `msgpack:"max_age_ms,omitempty"` // that they may have; 0: any

	Written int64 `msgpack:"written"`         // bytes in the last 24 hours, or since the start
	Daily   int64 `msgpack:"daily,omitempty"` // bytes that may be written in a day; 0: any
}

// SceneStatus is the part of [Status] about one scene.
type SceneStatus struct {
	Name        string        `msgpack:"name"`
	State       string        `msgpack:"state"`                // StateWatching, StatePaused or StateStopped
	Reason      string        `msgpack:"reason,omitempty"`     // why it stopped
	Frames      int64         `msgpack:"frames"`               // frame sets encoded into the memory
	Skipped     int64         `msgpack:"skipped"`              // pictures overtaken by a newer one or unmatched, and frame sets left out
	Captions    int64         `msgpack:"captions"`             // captions written
	Gated       int64         `msgpack:"gated"`                // frame sets that had not changed enough for a caption
	Repeated    int64         `msgpack:"repeated"`             // captions left out because they said the same again
	SkewMS      float64       `msgpack:"skew_ms"`              // between the oldest and the newest picture of the newest frame set
	FrameTime   int64         `msgpack:"frame_time,omitempty"` // of the newest frame set in the memory
	AgeMS       float64       `msgpack:"age_ms,omitempty"`     // how long ago that was taken, whatever clocks did since
	Caption     string        `msgpack:"caption,omitempty"`
	CaptionTime int64         `msgpack:"caption_time,omitempty"`
	MS          StageMS       `msgpack:"ms"` // of the newest frame set
	Views       []ViewStatus  `msgpack:"views"`
	Langs       []string      `msgpack:"langs,omitempty"` // of its captions, as [SceneInfo].Langs
	Memory      *MemoryStatus `msgpack:"memory,omitempty"`
}

// PluginStatus is the part of [Status] about one plugin in one scene.
type PluginStatus struct {
	Scene       string   `msgpack:"scene"`
	Name        string   `msgpack:"name"`
	State       string   `msgpack:"state"`                 // PluginRunning, PluginRestarting or PluginDisabled
	Reason      string   `msgpack:"reason,omitempty"`      // why it does not run, or what was wrong last
	Permissions []string `msgpack:"permissions,omitempty"` // what it may do
	MemoryBytes int64    `msgpack:"memory_bytes"`          // that it has taken
	Calls       int64    `msgpack:"calls"`
	Failures    int64    `msgpack:"failures"` // of those
	MeanMS      float64  `msgpack:"mean_ms"`  // of a call
	MaxMS       float64  `msgpack:"max_ms"`
	LeftOut     int64    `msgpack:"left_out"` // pictures that it kept from the model, and captions from being published
	Blocks      bool     `msgpack:"blocks"`   // without its answer none is seen or published,
	Blocked     int64    `msgpack:"blocked"`  // and so many were not
}

// Values of [PluginStatus].State.
const (
	PluginRunning    = "running"
	PluginRestarting = "restarting" // it failed, and is made anew before it is called again
	PluginDisabled   = "disabled"   // it did not start, or failed too often, and is not called any more
)

// MemoryStatus is the part of [SceneStatus] about what is kept of its memory.
type MemoryStatus struct {
	RAM       int64   `msgpack:"ram"` // snapshots in RAM
	RAMBytes  int64   `msgpack:"ram_bytes"`
	Snapshots int64   `msgpack:"snapshots"` // on disk
	Bytes     int64   `msgpack:"bytes"`
	EveryMS   float64 `msgpack:"every_ms"`          // how old the newest on disk may become
	Saved     int64   `msgpack:"saved,omitempty"`   // when that was taken
	AgeMS     float64 `msgpack:"age_ms,omitempty"`  // how long ago
	Problem   string  `msgpack:"problem,omitempty"` // why nothing can be saved
	Written   int64   `msgpack:"written"`           // bytes in the last 24 hours, or since the start
	Daily     int64   `msgpack:"daily"`             // bytes that may be written in a day
}

// ViewStatus is the part of [SceneStatus] about one camera. A frame has room for thousands
// of them, and each byte here is one in each.
type ViewStatus struct {
	Name      string `msgpack:"name"`
	State     string `msgpack:"state"`            // one of the View constants
	Reason    string `msgpack:"reason,omitempty"` // why it is not live; of one that is, how its pictures are taken
	Width     uint16 `msgpack:"width"`
	Height    uint16 `msgpack:"height"`
	Faults    int32  `msgpack:"faults"` // times that the source failed, or could not be opened
	FrameTime int64  `msgpack:"frame_time,omitempty"`

	AgeMS float64 `msgpack:"age_ms,omitempty"` // how long ago that was, whatever clocks did since

	Frames  int64 `msgpack:"frames"`  // frames captured
	Skipped int64 `msgpack:"skipped"` // of those: overtaken by a newer one, too old for the other views, not newer than the one before, or blocked
	Damaged int64 `msgpack:"damaged"` // pictures that came damaged
	Unfit   int64 `msgpack:"unfit"`   // of those: not shown to the model: dark, overexposed, blurred or frozen
	Missing int64 `msgpack:"missing"` // frame sets without this view
}

// Values of [ViewStatus].State, and of [Event].State where a view is concerned.
const (
	ViewLive         = "live"         // pictures come
	ViewReconnecting = "reconnecting" // they do not; the source is opened again and again
	ViewDark         = "dark"         // pictures are all black,
	ViewOverexposed  = "overexposed"  // all white,
	ViewBlurred      = "blurred"      // far less sharp than they were,
	ViewFrozen       = "frozen"       // or always the same
	ViewDisabled     = "disabled"     // switched off by the configuration
	ViewBlocked      = "blocked"      // pictures are left out, since a plugin without which none is seen does not run
	ViewEnded        = "ended"        // no more pictures will come
)

// StageMS is where the time of one frame set went, in milliseconds.
type StageMS struct {
	Vision float64 `msgpack:"vision"` // preprocessing, towers and projector
	Encode float64 `msgpack:"encode"` // state encoder
	Decode float64 `msgpack:"decode"` // prompt and text; 0 when none was written
}

// Scenes is the reply to [GetScenes].
type Scenes struct {
	Scenes []SceneInfo `msgpack:"scenes"`
}

// SceneInfo describes a configured scene.
type SceneInfo struct {
	Name  string   `msgpack:"name"`
	Views []string `msgpack:"views"`           // in the order the model sees them
	Langs []string `msgpack:"langs,omitempty"` // in which it is described, the first stands for all; none: the configuration gives no language
}

// Event is one line of a [Watch].
//
// Seq counts the server's events of all scenes from 1. No number is given twice;
// some are left out after a crash; 0 stands for a number that is not known because
// the disk cannot be read. Dropped says how many events of this watch were left out just
// before this one: because the client read too slowly and they are not kept, or because
// they were deleted since.
type Event struct {
	Seq     uint64   `msgpack:"seq"`
	Event   string   `msgpack:"event"` // EventCaption, EventAlert or EventState
	Scene   string   `msgpack:"scene"`
	Time    int64    `msgpack:"time"`
	Frame   int64    `msgpack:"frame"` // number of the frame set, from 1; 0: it is about none
	Text    string   `msgpack:"text"`
	Lang    string   `msgpack:"lang,omitempty"`   // captions: the language of Text, where the configuration gives one
	Views   []string `msgpack:"views,omitempty"`  // captions: the views that were seen
	View    string   `msgpack:"view,omitempty"`   // states and alerts: the view concerned
	State   string   `msgpack:"state,omitempty"`  // states: one of the State constants; with View, the state that it is in now
	MS      *StageMS `msgpack:"ms,omitempty"`     // captions only
	Tags    []string `msgpack:"tags,omitempty"`   // captions and alerts: what plugins call it
	Plugin  string   `msgpack:"plugin,omitempty"` // alerts: whose it is
	Dropped int64    `msgpack:"dropped,omitempty"`
}

// Values of [Event].Event. A client ignores those it does not know.
const (
	EventCaption = "caption" // the scene changed, Text says how it looks
	EventAlert   = "alert"   // a plugin wants somebody to know Text
	EventState   = "state"   // something happened to the watching itself
)

// Values of [Event].State, besides those of views. A client shows Text for those it does
// not know.
const (
	StateWatching = "watching" // the scene has begun, or goes on
	StatePaused   = "paused"   // an administrator stopped it for a while
	StateStopped  = "stopped"  // the scene has ended
	StateMemory   = "memory"   // the memory was reset or replaced
	StateLog      = "log"      // events cannot be kept, or can again, or were lost
)

// Piece is text of an answer as it is generated. The pieces of an answer joined
// are its text but for white space at the ends.
type Piece struct {
	Text string `msgpack:"text"`
}

// Answer ends an [Ask].
type Answer struct {
	Text   string   `msgpack:"text"` // whole, stripped
	Scene  string   `msgpack:"scene"`
	Time   int64    `msgpack:"time"`             // of the newest frame set the memory held
	Frame  int64    `msgpack:"frame"`            // its number
	AgeMS  float64  `msgpack:"age_ms,omitempty"` // how long ago that was, as the device's uptime tells where clocks do not
	Tokens int64    `msgpack:"tokens"`
	MS     AnswerMS `msgpack:"ms"`
	Change *Change  `msgpack:"change,omitempty"` // to a question with Diff
	Span   *Span    `msgpack:"span,omitempty"`   // to a question with Since
}

// Span is what the log has of the time that a question is about.
type Span struct {
	Captions []CaptionLine `msgpack:"captions,omitempty"` // an even choice of 64 at most, the newest among them, the oldest first
	Logged   int64         `msgpack:"logged"`             // how many the log has
	Read     bool          `msgpack:"read"`               // Captions stood before the question; else the answer is the memory's alone
}

// Change compares two memories by what the model says of each when it is asked for
// a caption: nothing else reads two memories. Gone and New are the parts of the
// captions, between commas, semicolons and full stops, that only the one or only
// the other has; words for the same thing are not recognised as such.
type Change struct {
	Then  string   `msgpack:"then"`
	Now   string   `msgpack:"now"`
	Gone  []string `msgpack:"gone,omitempty"`
	New   []string `msgpack:"new,omitempty"`
	Time  int64    `msgpack:"time"`  // of the newest frame set that the memory of then held
	Frame int64    `msgpack:"frame"` // its number
	AgeMS float64  `msgpack:"age_ms"`

	Captions []CaptionLine `msgpack:"captions,omitempty"` // of the log, from then to now, the newest 32
	More     int64         `msgpack:"more,omitempty"`     // how many came before those
}

// CaptionLine is a caption of the log.
type CaptionLine struct {
	Time  int64  `msgpack:"time"`
	Frame int64  `msgpack:"frame"`
	Text  string `msgpack:"text"`
}

// AnswerMS is how long an answer took from the arrival of the question, in
// milliseconds.
type AnswerMS struct {
	First float64 `msgpack:"first"` // until the first piece
	Total float64 `msgpack:"total"`
}

// End ends a [Watch] or a [Search] without an error.
type End struct {
	Next uint64 `msgpack:"next,omitempty"` // of a search: From to go on with; 0: that was all
}

// Snapshots is the reply to [GetSnapshots], the oldest first.
type Snapshots struct {
	Scene     string         `msgpack:"scene"`
	Snapshots []SnapshotInfo `msgpack:"snapshots"`
}

// SnapshotInfo is a saved memory that questions can be asked of.
type SnapshotInfo struct {
	Number uint64 `msgpack:"number"`
	Frame  int64  `msgpack:"frame"` // number of its newest frame set
	Time   int64  `msgpack:"time"`  // of that, as the clock showed it
	Bytes  int64  `msgpack:"bytes"`
	Disk   bool   `msgpack:"disk"` // it survives a restart
}

// Done is the reply to [Admin].
type Done struct{}

func (*Hello) Kind() string        { return "hello" }
func (*Welcome) Kind() string      { return "welcome" }
func (*GetStatus) Kind() string    { return "get_status" }
func (*Status) Kind() string       { return "status" }
func (*GetScenes) Kind() string    { return "get_scenes" }
func (*Scenes) Kind() string       { return "scenes" }
func (*Watch) Kind() string        { return "watch" }
func (*Event) Kind() string        { return "event" }
func (*Ask) Kind() string          { return "ask" }
func (*Piece) Kind() string        { return "piece" }
func (*Answer) Kind() string       { return "answer" }
func (*Cancel) Kind() string       { return "cancel" }
func (*End) Kind() string          { return "end" }
func (*Error) Kind() string        { return "error" }
func (*Search) Kind() string       { return "search" }
func (*GetSnapshots) Kind() string { return "get_snapshots" }
func (*Snapshots) Kind() string    { return "snapshots" }
func (*Admin) Kind() string        { return "admin" }
func (*Done) Kind() string         { return "done" }
