/*
 * cli/static/bus.c - what libpcap calls of libdbus, loaded when it does
 *
 * `pb` has libpcap in itself (PB_STATIC in the Makefile).  One module of that
 * captures from D-Bus: libdbus, with the six libraries that it brings, takes
 * longer to load than a search in 10 GB takes, and of all commands
 * `pb interfaces` alone asks for it.
 */
#include <dbus/dbus.h>
#include <stdbool.h>

#include "base/late.h"

#define LIBRARY		"libdbus-1.so.3"	/* its ABI since 2006 */
#define FUNCTIONS(of) \
	of(dbus_bus_add_match) of(dbus_bus_get) of(dbus_bus_register) \
	of(dbus_connection_flush) of(dbus_connection_open) \
	of(dbus_connection_pop_message) of(dbus_connection_read_write) \
	of(dbus_connection_send) of(dbus_connection_set_max_received_size) \
	of(dbus_connection_unref) of(dbus_error_free) of(dbus_error_is_set) \
	of(dbus_free) of(dbus_message_demarshal) of(dbus_message_is_signal) \
	of(dbus_message_marshal) of(dbus_message_unref)

static struct {
	FUNCTIONS(PB_LATE_MEMBER)
} bus;

/* A connection comes first: all that is called behind it is there. */
static bool
load(DBusError *error)
{
	static const char *const names[] = { FUNCTIONS(PB_LATE_NAME) };
	static struct pb_err err;

	if (bus.dbus_bus_add_match != NULL || pb_late_load(LIBRARY, names,
	    sizeof(names) / sizeof(names[0]), &bus, &err) == 0)
		return true;
	error->message = err.text;
	return false;
}

DBusConnection *
dbus_bus_get(DBusBusType type, DBusError *error)
{
	return load(error) ? bus.dbus_bus_get(type, error) : NULL;
}

DBusConnection *
dbus_connection_open(const char *address, DBusError *error)
{
	return load(error) ? bus.dbus_connection_open(address, error) : NULL;
}

/* Of a library that is not there as well. */
void
dbus_error_free(DBusError *error)
{
	if (bus.dbus_bus_add_match != NULL)
		bus.dbus_error_free(error);
}

#define FORWARD(type, name, parameters, arguments)	\
type							\
name parameters						\
{							\
	return bus.name arguments;			\
}
FORWARD(void, dbus_bus_add_match, (DBusConnection *connection,
    const char *rule, DBusError *error), (connection, rule, error))
FORWARD(dbus_bool_t, dbus_bus_register, (DBusConnection *connection,
    DBusError *error), (connection, error))
FORWARD(void, dbus_connection_flush, (DBusConnection *connection),
    (connection))
FORWARD(DBusMessage *, dbus_connection_pop_message,
    (DBusConnection *connection), (connection))
FORWARD(dbus_bool_t, dbus_connection_read_write, (DBusConnection *connection,
    int timeout_ms), (connection, timeout_ms))
FORWARD(dbus_bool_t, dbus_connection_send, (DBusConnection *connection,
    DBusMessage *message, dbus_uint32_t *serial),
    (connection, message, serial))
FORWARD(void, dbus_connection_set_max_received_size,
    (DBusConnection *connection, long bytes), (connection, bytes))
FORWARD(void, dbus_connection_unref, (DBusConnection *connection),
    (connection))
FORWARD(dbus_bool_t, dbus_error_is_set, (const DBusError *error), (error))
FORWARD(void, dbus_free, (void *memory), (memory))
FORWARD(DBusMessage *, dbus_message_demarshal, (const char *bytes, int len,
    DBusError *error), (bytes, len, error))
FORWARD(dbus_bool_t, dbus_message_is_signal, (DBusMessage *message,
    const char *interface, const char *name), (message, interface, name))
FORWARD(dbus_bool_t, dbus_message_marshal, (DBusMessage *message,
    char **bytes, int *len), (message, bytes, len))
FORWARD(void, dbus_message_unref, (DBusMessage *message), (message))
