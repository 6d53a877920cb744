/* The interval, and what outlives it. */
#include "internal.h"

weir_interval weir_this_interval(void)
{
	weir_plugin_interval_instant_t began;
	weir_plugin_interval_began(&began);
	return (weir_interval){
		.number = weir_plugin_interval_number(),
		.began = began.seconds,
		.began_nanoseconds = began.nanoseconds,
		.seconds = weir_plugin_interval_length(),
		.skipped = weir_plugin_interval_skipped(),
		.is_last = weir_plugin_interval_is_last(),
	};
}

void *weir_load(const char *key, size_t *size)
{
	plugin_string_t name = weir_to_host(key);
	plugin_list_u8_t bytes;
	if (!weir_plugin_state_load(&name, &bytes))
		return NULL;
	if (size)
		*size = bytes.len;
	return weir_from_host((plugin_string_t){ bytes.ptr, bytes.len });
}

bool weir_store(const char *key, const void *bytes, size_t size)
{
	refusal why;
	plugin_string_t name = weir_to_host(key);
	plugin_list_u8_t value = { (uint8_t *)bytes, size };
	return weir_plugin_state_store(&name, &value, &why) || weir_refused(&why);
}

void weir_remove(const char *key)
{
	plugin_string_t name = weir_to_host(key);
	weir_plugin_state_remove(&name);
}
