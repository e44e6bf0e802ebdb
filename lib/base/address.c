/* address.c - see address.h. Every IPv6 form that carries an IPv4 address is unpacked first, so
 * that one list of networks serves both families and no spelling gets around it. */
#include "lib/base/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"

enum { V4_LEN = 4, V6_LEN = 16, TEXT_MAX = 64 };

/* An address as bytes: four of them, or sixteen. */
struct bytes {
	uint8_t at[V6_LEN];
	size_t len; /* 0: neither family */
};

struct network {
	uint8_t at[V6_LEN];
	int bits;
};

static const struct network loopback_v4 = {{127}, 8};
static const struct network loopback_v6 = {{[15] = 1}, 128};
static const struct network unspecified_v6 = {{0}, 128};

static const struct network off_limits_v4[] = {
	{{169, 254}, 16},	    /* link-local; 169.254.169.254 is every cloud's metadata */
	{{0}, 8},		    /* "this host" */
	{{100, 100, 100, 200}, 32}, /* Alibaba's metadata */
	{{168, 63, 129, 16}, 32},   /* Azure's */
	{{192, 0, 0, 192}, 32},	    /* Oracle's */
	{{224}, 4},		    /* multicast */
	{{255, 255, 255, 255}, 32},
};
static const struct network off_limits_v6[] = {
	{{0xfe, 0x80}, 10},				    /* link-local */
	{{0xff}, 8},					    /* multicast */
	{{0xfd, 0x00, 0x0e, 0xc2, [14] = 0x02, 0x54}, 128}, /* Amazon's metadata */
};

/* Prefixes that are followed by an IPv4 address. */
static const struct network carriers[] = {
	{{[10] = 0xff, 0xff}, 96},	/* ::ffff:a.b.c.d, RFC 4291 */
	{{[8] = 0xff, 0xff}, 96},	/* ::ffff:0:a.b.c.d, RFC 2765 */
	{{0x00, 0x64, 0xff, 0x9b}, 96}, /* NAT64, RFC 6052 */
	{{0x20, 0x02}, 16},		/* 6to4, RFC 3056 */
	{{0}, 96},			/* ::a.b.c.d, after :: and ::1 */
};

static bool is_in(const struct bytes *bytes, const struct network *network)
{
	int whole = network->bits / 8, rest = network->bits % 8;
	uint8_t mask = (uint8_t)(0xff << (8 - rest));

	return !memcmp(bytes->at, network->at, (size_t)whole) &&
	       (!rest || (bytes->at[whole] & mask) == (network->at[whole] & mask));
}

static bool is_plain_v6(const struct bytes *bytes)
{
	return is_in(bytes, &loopback_v6) || is_in(bytes, &unspecified_v6);
}

/* The bytes of an address; of one that carries another, of that. */
static struct bytes unpack(const struct sockaddr *address)
{
	struct bytes bytes = {.len = 0};

	if (address->sa_family == AF_INET) {
		struct sockaddr_in v4;

		memcpy(&v4, address, sizeof v4);
		memcpy(bytes.at, &v4.sin_addr, V4_LEN);
		bytes.len = V4_LEN;
	} else if (address->sa_family == AF_INET6) {
		struct sockaddr_in6 v6;

		memcpy(&v6, address, sizeof v6);
		memcpy(bytes.at, &v6.sin6_addr, V6_LEN);
		bytes.len = V6_LEN;
		for (size_t i = 0; i < ARRAY_LEN(carriers) && !is_plain_v6(&bytes); i++)
			if (is_in(&bytes, &carriers[i])) {
				memmove(bytes.at, bytes.at + carriers[i].bits / 8, V4_LEN);
				bytes.len = V4_LEN;
				break;
			}
	}
	return bytes;
}

bool address_is_loopback(const struct sockaddr *address)
{
	struct bytes bytes = unpack(address);

	return (bytes.len == V4_LEN && is_in(&bytes, &loopback_v4)) ||
	       (bytes.len == V6_LEN && is_in(&bytes, &loopback_v6));
}

bool address_is_off_limits(const struct sockaddr *address)
{
	struct bytes bytes = unpack(address);

	if (!bytes.len)
		return true;
	for (size_t i = 0; bytes.len == V4_LEN && i < ARRAY_LEN(off_limits_v4); i++)
		if (is_in(&bytes, &off_limits_v4[i]))
			return true;
	for (size_t i = 0; bytes.len == V6_LEN && i < ARRAY_LEN(off_limits_v6); i++)
		if (is_in(&bytes, &off_limits_v6[i]))
			return true;
	return bytes.len == V6_LEN && is_in(&bytes, &unspecified_v6);
}

bool address_parse(struct sockaddr_storage *out, const char *text)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
	char plain[TEXT_MAX];

	memset(out, 0, sizeof *out);
	if (!text || !str_copy(plain, sizeof plain, text))
		return false;
	plain[strcspn(plain, "%")] = '\0'; /* a zone */
	if (inet_pton(AF_INET, plain, &v4.sin_addr) == 1)
		memcpy(out, &v4, sizeof v4);
	else if (inet_pton(AF_INET6, plain, &v6.sin6_addr) == 1)
		memcpy(out, &v6, sizeof v6);
	else
		return false;
	return true;
}

bool address_name_is_loopback(const char *host)
{
	struct sockaddr_storage address;
	char plain[TEXT_MAX];
	size_t len;

	if (!str_copy(plain, sizeof plain, *host == '[' ? host + 1 : host))
		return false;
	len = strlen(plain);
	if (*host == '[' && len && plain[len - 1] == ']')
		plain[len - 1] = '\0';
	if (address_parse(&address, plain))
		return address_is_loopback((const struct sockaddr *)&address);
	return str_eq_nocase(plain, "localhost");
}

bool address_name_is_metadata(const char *host)
{
	static const char *const names[] = {"metadata.google.internal", "metadata.goog", "metadata",
					    "instance-data", "instance-data.ec2.internal"};
	char plain[TEXT_MAX];
	size_t len;

	if (!str_copy(plain, sizeof plain, host))
		return false;
	len = strlen(plain);
	if (len && plain[len - 1] == '.')
		plain[len - 1] = '\0';
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (str_eq_nocase(plain, names[i]))
			return true;
	return false;
}
