/* clock.c - see clock.h. Calendar arithmetic is done here, because gmtime and mktime depend on
 * process-wide state. */
#include "lib/base/clock.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "lib/base/str.h"

static int64_t read_clock(clockid_t id)
{
	struct timespec ts;

	must(clock_gettime(id, &ts) == 0);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int64_t clock_now_ms(void)
{
	return read_clock(CLOCK_REALTIME);
}

int64_t clock_boot_ms(void)
{
	return read_clock(CLOCK_BOOTTIME);
}

int64_t clock_mono_ms(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

/* Days since 1970-01-01 of a proleptic Gregorian date, and back (Hinnant's algorithms). */
static int64_t days_from_civil(int64_t y, int m, int d)
{
	int64_t era;
	int64_t yoe, doy, doe;

	y -= m <= 2;
	era = (y >= 0 ? y : y - 399) / 400;
	yoe = y - era * 400;
	doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
	doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
	return era * 146097 + doe - 719468;
}

struct civil {
	int year, month, day, hour, minute, second;
};

static struct civil civil_from_ms(int64_t ms)
{
	int64_t s = ms >= 0 ? ms / 1000 : (ms - 999) / 1000;
	int64_t days = s >= 0 ? s / 86400 : (s - 86399) / 86400, rest = s - days * 86400;
	int64_t z = days + 719468, era = (z >= 0 ? z : z - 146096) / 146097;
	int64_t doe = z - era * 146097;
	int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
	struct civil c = {
		.day = (int)(doy - (153 * mp + 2) / 5 + 1),
		.month = (int)(mp < 10 ? mp + 3 : mp - 9),
		.hour = (int)(rest / 3600),
		.minute = (int)(rest / 60 % 60),
		.second = (int)(rest % 60),
	};

	c.year = (int)(yoe + era * 400 + (c.month <= 2));
	return c;
}

void clock_rfc3339(char out[21], int64_t ms)
{
	struct civil c = civil_from_ms(ms);
	char text[80];

	snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02dZ", c.year, c.month, c.day,
		 c.hour, c.minute, c.second);
	str_copy(out, 21, text);
}

void clock_hhmm(char out[6], int64_t ms)
{
	struct civil c = civil_from_ms(ms);

	out[0] = (char)('0' + c.hour / 10);
	out[1] = (char)('0' + c.hour % 10);
	out[2] = ':';
	out[3] = (char)('0' + c.minute / 10);
	out[4] = (char)('0' + c.minute % 10);
	out[5] = '\0';
}

static bool civil_to_ms(int64_t *out, const struct civil *c)
{
	if (c->year < 1 || c->year > 9999 || c->month < 1 || c->month > 12 || c->day < 1 ||
	    c->day > 31 || c->hour > 23 || c->minute > 59 || c->second > 60 || c->hour < 0 ||
	    c->minute < 0 || c->second < 0)
		return false;
	*out = (days_from_civil(c->year, c->month, c->day) * 86400 + c->hour * 3600 +
		c->minute * 60 + c->second) *
	       1000;
	return true;
}

/* The tail after the seconds: fraction, then Z or an offset. */
static bool parse_zone(int64_t *ms, const char *text)
{
	int hours, minutes, used = 0;
	char sign;

	if (*text == '.') {
		int digits = 0, scale = 100;

		for (text++; isdigit((unsigned char)*text); text++, digits++) {
			*ms += (*text - '0') * scale;
			scale /= 10;
		}
		if (!digits)
			return false;
	}
	if (str_eq(text, "Z") || str_eq(text, "z"))
		return true;
	if (sscanf(text, "%c%2d:%2d%n", &sign, &hours, &minutes, &used) != 3 || text[used] ||
	    (sign != '+' && sign != '-'))
		return false;
	*ms -= (sign == '+' ? 1 : -1) * (int64_t)(hours * 60 + minutes) * 60000;
	return true;
}

static bool parse_http_date(int64_t *out_ms, const char *text)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	struct civil c = {0};
	char month[4] = "";
	const char *found;
	int used = 0;

	if (sscanf(text, "%*3[A-Za-z], %2d %3[A-Za-z] %4d %2d:%2d:%2d GMT%n", &c.day, month,
		   &c.year, &c.hour, &c.minute, &c.second, &used) != 6 ||
	    !used || text[used])
		return false;
	found = strstr(months, month);
	if (!found || (found - months) % 3)
		return false;
	c.month = (int)(found - months) / 3 + 1;
	return civil_to_ms(out_ms, &c);
}

bool clock_parse(int64_t *out_ms, const char *text)
{
	struct civil c = {0};
	int64_t value;
	int used = 0;

	if (str_is_empty(text) || strlen(text) > 64)
		return false;
	if (str_to_int64(&value, text)) {
		if (value <= -62135596800 || value >= 253402300800)
			return false;
		*out_ms = value * 1000;
		return true;
	}
	if (sscanf(text, "%4d-%2d-%2d%*1[Tt ]%2d:%2d:%2d%n", &c.year, &c.month, &c.day, &c.hour,
		   &c.minute, &c.second, &used) == 6 &&
	    used && civil_to_ms(&value, &c) && parse_zone(&value, text + used)) {
		*out_ms = value;
		return true;
	}
	return parse_http_date(out_ms, text);
}
