/* address.h - what kind of network address is this: the questions asked before bytes are sent
 * there.
 *
 * IPv4 addresses that travel inside IPv6 ones (mapped, compatible, NAT64, 6to4) are judged as what
 * they lead to. Pure; any thread. */
#ifndef KF_BASE_ADDRESS_H
#define KF_BASE_ADDRESS_H

#include <stdbool.h>
#include <sys/socket.h>

/* 127.0.0.0/8, ::1. */
bool address_is_loopback(const struct sockaddr *address);

/* Where no service of a cluster lives, but a machine's metadata service or the network itself may:
 * link-local (169.254.0.0/16, fe80::/10), the clouds' metadata addresses outside it
 * (fd00:ec2::254, 100.100.100.200, 168.63.129.16, 192.0.0.192), unspecified (0.0.0.0/8, ::),
 * multicast and broadcast; also any family other than IPv4 and IPv6. */
bool address_is_off_limits(const struct sockaddr *address);

/* The same for a numeric address in text ("10.0.0.1", "::1", without brackets); false when it is
 * not one. */
bool address_parse(struct sockaddr_storage *out, const char *text);

/* A name or numeric address that always means this machine: "localhost", 127.*, "::1", "[::1]". */
bool address_name_is_loopback(const char *host);

/* A name under which a cloud's metadata service answers ("metadata.google.internal"), in any case,
 * with or without the dot at the end. */
bool address_name_is_metadata(const char *host);

#endif
