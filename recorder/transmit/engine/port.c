/*
 * recorder/transmit/engine/port.c - what the system says of an interface
 */
#include "recorder/transmit/engine/port.h"

#include <errno.h>
#include <net/if_arp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static int	ask_all(int, struct pb_port *);
static int	no_such(const char *, struct pb_err *);

int
pb_port_ask(struct pb_port *out, const char *interface, struct pb_err *err)
{
	int fd, rc;

	memset(out, 0, sizeof(*out));
	if (interface[0] == '\0' || strlen(interface) >= sizeof(out->name))
		return no_such(interface, err);
	strcpy(out->name, interface);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return pb_err_sys(err, "interface %s", interface);
	rc = ask_all(fd, out);
	if (rc < 0)
		rc = errno == ENODEV || errno == ENXIO ?
		    no_such(interface, err) :
		    pb_err_sys(err, "interface %s", interface);
	close(fd);
	return rc;
}

int
pb_port_ready(const struct pb_port *port, struct pb_err *err)
{
	if (!port->up)
		return pb_err_set(err, PB_EBUSY, "interface %s is down",
		    port->name);
	if (!port->carrier)
		return pb_err_set(err, PB_EBUSY, "interface %s has no carrier",
		    port->name);
	return 0;
}

static int
ask_all(int fd, struct pb_port *out)
{
	struct ifreq request;

	memset(&request, 0, sizeof(request));
	memcpy(request.ifr_name, out->name, sizeof(out->name));
	if (ioctl(fd, SIOCGIFINDEX, &request) < 0)
		return -1;
	out->index = (unsigned)request.ifr_ifindex;
	if (ioctl(fd, SIOCGIFFLAGS, &request) < 0)
		return -1;
	out->up = (request.ifr_flags & IFF_UP) != 0;
	out->carrier = (request.ifr_flags & IFF_RUNNING) != 0;
	if (ioctl(fd, SIOCGIFMTU, &request) < 0)
		return -1;
	out->mtu = request.ifr_mtu > 0 ? (uint32_t)request.ifr_mtu : 0;
	if (ioctl(fd, SIOCGIFHWADDR, &request) < 0)
		return -1;
	out->ethernet = request.ifr_hwaddr.sa_family == ARPHRD_ETHER ||
	    request.ifr_hwaddr.sa_family == ARPHRD_LOOPBACK;
	return 0;
}

static int
no_such(const char *interface, struct pb_err *err)
{
	return pb_err_set(err, PB_ENOENT, "interface %s: there is none of "
	    "this name; `pb interfaces` lists them", interface);
}
