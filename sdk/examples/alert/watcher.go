package main

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/visualrwkv/edged/sdk"
)

// rule says which captions there is an alert for.
type rule struct {
	Words    []string  `json:"words"`    // one of them, whole, in any case
	Pattern  string    `json:"pattern"`  // or what this RE2 expression finds
	Scenes   []string  `json:"scenes"`   // in these; left out: in all
	Cooldown *duration `json:"cooldown"` // quiet after an alert; left out: a minute
	Tag      string    `json:"tag"`      // of captions and alerts
	Message  string    `json:"message"`  // with {match}, {text} and {scene}

	find  *regexp.Regexp // in its first group that is not empty
	quiet time.Duration  // until when, by the clock of captions
}

// people is the rule where none is configured.
var people = rule{
	Words: []string{"person", "people", "somebody", "someone", "man", "men", "woman", "women", "child", "children", "人"},
	Tag:   "person",
}

const (
	maxRules       = 64
	defaultQuiet   = duration(time.Minute)
	defaultMessage = "{match}: {text}"
)

// duration is written as a number of seconds or with a unit: 90, "90s", "1.5h".
type duration time.Duration

func (d *duration) UnmarshalJSON(data []byte) error {
	v, err := time.ParseDuration(strings.Trim(string(data), `"`))
	if seconds, e := strconv.ParseFloat(string(data), 64); e == nil {
		v, err = time.Duration(min(max(seconds, -1), 1e9)*float64(time.Second)), nil
	}
	if err != nil || v < 0 {
		return fmt.Errorf("cooldown: %s is not a time such as 90s or 5m", data)
	}
	*d = duration(v)
	return nil
}

// watcher looks for the rules of one scene.
type watcher struct{ rules []rule }

func (w *watcher) start(s *sdk.Start) error {
	var config struct {
		Rules []rule `json:"rules"`
	}
	if err := s.Decode(&config); err != nil {
		return err
	}
	if config.Rules == nil {
		config.Rules = []rule{people}
	}
	if len(config.Rules) > maxRules {
		return fmt.Errorf("config: %d rules, at most %d are possible", len(config.Rules), maxRules)
	}
	w.rules = w.rules[:0]
	for i, r := range config.Rules {
		if err := r.prepare(); err != nil {
			return fmt.Errorf("config: rule %d: %w", i+1, err)
		}
		if len(r.Scenes) == 0 || slices.Contains(r.Scenes, s.Scene) {
			w.rules = append(w.rules, r)
		}
	}
	if !s.May("emit") {
		sdk.Log(sdk.Warn, "without the permission emit there are tags and no alerts")
	}
	return nil
}

func (r *rule) prepare() (err error) {
	switch {
	case len(r.Words) > 0 && r.Pattern != "":
		return errors.New("words and a pattern: one of them is possible")
	case len(r.Words) > 0:
		r.find, err = regexp.Compile(words(r.Words))
	case r.Pattern != "":
		r.find, err = regexp.Compile("(" + r.Pattern + ")")
	default:
		return errors.New("neither words nor a pattern")
	}
	if err != nil {
		return fmt.Errorf("pattern: %w", err)
	}
	if slices.Contains(r.Words, "") {
		return errors.New("words: an empty one is in every text")
	}
	if r.Cooldown == nil {
		quiet := defaultQuiet
		r.Cooldown = &quiet
	}
	if r.Message == "" {
		r.Message = defaultMessage
	}
	return nil
}

// edge is what a whole word ends at. Some scripts have no spaces: there a word ends at any
// character.
const (
	edge     = `(?:[^\pL\pN]|` + unspaced + `)`
	unspaced = `[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]`
)

var isUnspaced = regexp.MustCompile("^" + unspaced)

// words returns the expression that finds one of the words in its first group that matched.
// Words that need the same edges share them, for edges are large.
func words(list []string) string {
	sorts := map[[2]bool][]string{}
	for _, word := range list {
		first, _ := utf8.DecodeRuneInString(word)
		last, _ := utf8.DecodeLastRuneInString(word)
		needs := [2]bool{spaced(first), spaced(last)}
		sorts[needs] = append(sorts[needs], regexp.QuoteMeta(word))
	}
	var found []string
	for needs, list := range sorts {
		s := "((?i:" + strings.Join(list, "|") + "))"
		if needs[0] {
			s = "(?:^|" + edge + ")" + s
		}
		if needs[1] {
			s += "(?:$|" + edge + ")"
		}
		found = append(found, s)
	}
	slices.Sort(found) // in the same order each time
	return strings.Join(found, "|")
}

func spaced(r rune) bool {
	return (unicode.IsLetter(r) || unicode.IsNumber(r)) && !isUnspaced.MatchString(string(r))
}

// match returns what the rule finds in a text, "" for nothing.
func (r *rule) match(text string) string {
	groups := r.find.FindStringSubmatch(text)
	for i := 1; i < len(groups); i++ {
		if groups[i] != "" {
			return groups[i]
		}
	}
	return ""
}

// judge tags the caption for every rule that finds something, and tells of those that are not
// quiet.
func (w *watcher) judge(c *sdk.Caption) (a sdk.Answer) {
	var alerts []string
	for i := range w.rules {
		r := &w.rules[i]
		found := r.match(c.Text)
		if found == "" {
			continue
		}
		if r.Tag != "" && !slices.Contains(a.Tags, r.Tag) {
			a.Tags = append(a.Tags, r.Tag)
		}
		if c.Clock < r.quiet {
			continue
		}
		r.quiet = c.Clock + time.Duration(*r.Cooldown)
		alerts = append(alerts, strings.NewReplacer("{match}", found, "{text}", c.Text, "{scene}", c.Scene).Replace(r.Message))
	}
	a.Alert = strings.Join(alerts, "; ")
	return a
}
