package weir

import "github.com/weir-tracing/weir/plugin-sdk/go/sdk/bindings/imports/weir_plugin_state"

// Load gives what was stored under this key, if anything was.
func Load(key string) ([]byte, bool) {
	return found(weir_plugin_state.Load(valid(key)))
}

// Store keeps a few kilobytes for later calls, if this one does not fail. It fails with `too-large` if there is no
// room.
func Store(key string, value []byte) error {
	return done(weir_plugin_state.Store(valid(key), value))
}

// Remove forgets what was stored under this key.
func Remove(key string) {
	weir_plugin_state.Remove(valid(key))
}
