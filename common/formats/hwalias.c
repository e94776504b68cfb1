// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Most buses write fields one after another: a few letters, then digits of fixed meaning
 * or a '*'. A table says what the fields of each bus are called; those that match
 * anything are left out, so that what remains is what the driver asks for.
 */

#include <limits.h>

#include "formats/hwalias.h"
#include "formats/modname.h"

#define FIELDS_MAX 12

struct field {
	const char *key;  /* as the alias has it */
	const char *name; /* in words; "" joins it to the one before with a ':' */
};

struct bus {
	const char *prefix;
	const char *name;
	struct field fields[FIELDS_MAX];
};

static const struct bus buses[] = {
	{"pci:", "PCI",
		{{"v", "device"}, {"d", ""}, {"sv", "subsystem"}, {"sd", ""},
			{"bc", "class"}, {"sc", ""}, {"i", "interface"}}},
	{"usb:", "USB",
		{{"v", "device"}, {"p", ""}, {"d", "revision"}, {"dc", "device class"},
			{"dsc", "subclass"}, {"dp", "protocol"},
			{"ic", "interface class"}, {"isc", "subclass"},
			{"ip", "protocol"}, {"in", "interface"}}},
	{"hid:", "HID", {{"b", "bus"}, {"g", "group"}, {"v", "device"}, {"p", ""}}},
	{"virtio:", "virtio", {{"d", "device"}, {"v", "vendor"}}},
	{"sdio:", "SDIO", {{"c", "class"}, {"v", "device"}, {"d", ""}}},
	{"ssb:", "SSB", {{"v", "vendor"}, {"id", "device"}, {"rev", "revision"}}},
	{"bcma:", "BCMA",
		{{"m", "manufacturer"}, {"id", "device"}, {"rev", "revision"},
			{"cl", "class"}}},
	{"pcmcia:", "PCMCIA",
		{{"m", "manufacturer"}, {"c", "card"}, {"f", "function"},
			{"fn", "number"}, {"pfn", "device"}, {"pa", "product"},
			{"pb", "product"}, {"pc", "product"}, {"pd", "product"}}},
	{"ieee1394:", "FireWire",
		{{"ven", "vendor"}, {"mo", "model"}, {"sp", "specifier"},
			{"ver", "version"}}},
	{"hdaudio:", "HD audio", {{"v", "codec"}, {"r", "revision"}, {"a", "type"}}},
	{"ccw:", "channel",
		{{"t", "control unit"}, {"m", "model"}, {"dt", "device"},
			{"dm", "model"}}},
	{"typec:", "USB-C alternate mode", {{"id", "identifier"}, {"m", "mode"}}},
	{"wmi:", "WMI", {{"", "GUID"}}},
	{"vmbus:", "Hyper-V", {{"", "GUID"}}},
	{"mei:", "Intel ME client", {{"", ""}}},
	{"tee:", "trusted application", {{"", ""}}},
	{"zorro:", "Zorro", {{"i", "device"}}},
	{"eisa:", "EISA", {{"s", "device"}}},
	{"parisc:", "PA-RISC", {{"t", "type"}, {"hv", "version"}, {"rev", "revision"}}},
};

/* What stands behind a colon is a name: on these buses there is nothing to decode. */
static const struct {
	const char *prefix, *name;
} plain[] = {
	{"acpi*:", "ACPI device"},
	{"acpi:", "ACPI device"},
	{"pnp:d", "PnP device"},
	{"platform:", "platform device"},
	{"i2c:", "I2C device"},
	{"spi:", "SPI device"},
	{"mdio:", "PHY"},
	{"serio:", "serio port"},
	{"input:", "input device"},
	{"dmi*:", "machine"},
	{"dmi:", "machine"},
	{"fs-", "file system"},
	{"net-pf-", "protocol family"},
	{"char-major-", "character device"},
	{"block-major-", "block device"},
	{"devname:", "device node /dev/"},
	{"crypto-", "crypto algorithm"},
	{"nfct-helper-", "connection tracking helper"},
	{"xt_", "netfilter"},
	{"ipt_", "IPv4 netfilter"},
	{"ip6t_", "IPv6 netfilter"},
	{"nft-expr-", "nftables expression"},
	{"rtnl-link-", "link type"},
	{"tcp_", "TCP congestion control"},
	{"snd-card-", "sound card"},
	{"auxiliary:", "auxiliary device"},
	{"rpmsg:", "rpmsg channel"},
	{"dax:", "DAX device"},
	{"nd:", "NVDIMM device"},
	{"scsi:t-", "SCSI device type"},
	{"cpu:type:", "CPU"},
	{"gameport:", "game port"},
	{"mmc:", "MMC"},
	{"slim:", "SLIMbus device"},
	{"sdw:", "SoundWire device"},
	{"ulpi:", "ULPI PHY"},
	{"fsl-mc:", "DPAA2 object"},
	{"mhi:", "MHI channel"},
	{"tbsvc:", "Thunderbolt service"},
	{"ishtp:", "sensor hub client"},
	{"symbol:", "symbol"},
};

/* Up to 8 hexadecimal digits, or a pattern: what one field says. Returns its end. */
static const char *value_end(const char *p)
{
	while ((*p >= '0' && *p <= '9') || (*p >= 'A' && *p <= 'F') || *p == '*' ||
		*p == '?' || *p == '-' || *p == '[' || *p == ']')
		p++;
	return p;
}

static void add_value(struct buf *to, const char *p, size_t n)
{
	/* 00008086 is written 8086, as lspci does */
	if (n == 8 && strncmp(p, "0000", 4) == 0)
		p += 4, n -= 4;
	for (size_t i = 0; i < n; i++)
		buf_char(
			to, p[i] >= 'A' && p[i] <= 'F' ? (char)(p[i] - 'A' + 'a') : p[i]);
}

static bool describe_fields(const struct bus *b, const char *p, struct buf *to)
{
	const char *said = NULL;
	bool joined = false;

	if (!*b->fields[0].key) {
		buf_printf(to, "%s %s%s%s", b->name, b->fields[0].name,
			*b->fields[0].name ? " " : "", p);
		return true;
	}
	buf_str(to, b->name);
	for (unsigned i = 0; i < FIELDS_MAX && b->fields[i].key && *p; i++) {
		const struct field *f = &b->fields[i];
		size_t n = strlen(f->key), len;
		const char *end;

		if (strncmp(p, f->key, n) != 0)
			continue;
		p += n;
		end = value_end(p);
		len = (size_t)(end - p);
		if (len == 0)
			return false;
		if (!*end && len > 1 && end[-1] == '*')
			len--; /* it ends the alias, not the value */
		if (len == 1 && *p == '*') {
			/* 8086:* says more than 8086 does */
			if (!*f->name && joined)
				buf_str(to, ":*");
			joined = *f->name ? false : joined;
		} else {
			if (*f->name)
				buf_printf(to, "%s%s ", said ? ", " : " ", f->name);
			else
				buf_str(to, joined ? ":" : said ? ", *:" : " *:");
			add_value(to, p, len);
			said = f->name;
			joined = true;
		}
		p = end;
	}
	if (!said)
		buf_str(to, ": every device");
	return *p == '\0' || str_eq(p, "*");
}

/* of:N*T*Cvendor,device or with C*: what a device tree calls it. */
static void describe_of(const char *p, struct buf *to)
{
	const char *c = strchr(p, 'C'), *compatible = NULL;
	const char *t = strchr(p, 'T');
	size_t n;

	for (; c; c = strchr(c + 1, 'C'))
		if (c > p && (c[-1] == '*' || t) && !compatible)
			compatible = c + 1;
	if (!compatible) {
		buf_printf(to, "device tree node %s", p);
		return;
	}
	n = strlen(compatible);
	if (n > 2 && str_eq(compatible + n - 2, "C*"))
		n -= 2;
	buf_printf(to, "device tree %.*s", (int)n, compatible);
}

static void describe_dmi(const char *p, struct buf *to)
{
	static const struct field fields[] = {{"bvn", "BIOS vendor"},
		{"bvr", "BIOS version"}, {"svn", "vendor"}, {"pn", "product"},
		{"pvr", "version"}, {"rvn", "board vendor"}, {"rn", "board"},
		{"rvr", "board version"}, {"cvn", "chassis vendor"},
		{"ct", "chassis type"}};
	const char *between = " ";

	buf_str(to, "machine with");
	while (*p) {
		size_t n = strcspn(p, ":"), best = 0;
		const char *name = NULL;

		p += *p == '*';
		n = strcspn(p, ":");
		for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
			if (str_starts(p, fields[i].key) &&
				strlen(fields[i].key) > best) {
				best = strlen(fields[i].key);
				name = fields[i].name;
			}
		if (name) {
			size_t end = n;

			while (end > best && p[end - 1] == '*')
				end--;
			while (best < end && p[best] == '*')
				best++;
			if (end > best) {
				buf_printf(to, "%s%s %.*s", between, name,
					(int)(end - best), p + best);
				between = ", ";
			}
		}
		p += n + (p[n] == ':');
	}
}

void hwalias_describe(const char *alias, struct buf *to)
{
	size_t before = to->len;

	for (size_t i = 0; i < ARRAY_SIZE(buses); i++) {
		if (!str_starts(alias, buses[i].prefix))
			continue;
		if (describe_fields(&buses[i], alias + strlen(buses[i].prefix), to))
			return;
		to->len = before;
	}
	if (str_starts(alias, "of:")) {
		describe_of(alias + 3, to);
		return;
	}
	if (str_starts(alias, "dmi")) {
		describe_dmi(alias + strcspn(alias, ":"), to);
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(plain); i++) {
		const char *rest = alias + strlen(plain[i].prefix);
		size_t n;

		if (!str_starts(alias, plain[i].prefix))
			continue;
		n = strlen(rest);
		while (n > 1 && (rest[n - 1] == '*' || rest[n - 1] == ':'))
			n--;
		buf_printf(to, "%s%s%.*s", plain[i].name,
			plain[i].name[strlen(plain[i].name) - 1] == '/' ? "" : " ",
			(int)n, rest);
		return;
	}
	buf_str(to, alias);
}

/* --- patterns --- */

/* Of which bytes is one in the set? */
struct set {
	uint64_t bits[4];
};

static void set_add(struct set *s, unsigned char first, unsigned char last)
{
	for (unsigned c = first; c <= last; c++)
		s->bits[c / 64] |= UINT64_C(1) << c % 64;
}

/*
 * The bytes that the first element of a pattern, no '*', can be. Returns the element's
 * end.
 */
static const char *element(const char *p, struct set *ret)
{
	const char *end = *p == '[' ? strchr(p, ']') : NULL;

	*ret = (struct set){0};
	if (!end) {
		set_add(ret, *p == '?' ? 1 : (unsigned char)*p,
			*p == '?' ? UCHAR_MAX : (unsigned char)*p);
		return p + 1;
	}
	for (p++; p < end; p++) {
		if (p + 2 < end && p[1] == '-') {
			set_add(ret, (unsigned char)p[0], (unsigned char)p[2]);
			p += 2;
		} else {
			set_add(ret, (unsigned char)*p, (unsigned char)*p);
		}
	}
	return end + 1;
}

static bool sets_meet(const struct set *a, const struct set *b)
{
	for (size_t i = 0; i < ARRAY_SIZE(a->bits); i++)
		if (a->bits[i] & b->bits[i])
			return true;
	return false;
}

/* Bounded: patterns with many stars are rare, and a wrong no only leaves out a hint. */
static bool overlap(const char *a, const char *b, unsigned *budget)
{
	struct set x, y;

	for (;;) {
		if (*budget == 0)
			return false;
		--*budget;
		if (!*a && !*b)
			return true;
		if (*a == '*' || *b == '*') {
			const char *star = *a == '*' ? a : b, *other = *a == '*' ? b : a;

			if (overlap(star + 1, other, budget))
				return true;
			if (!*other)
				return false;
			if (*other == '*')
				return overlap(star, other + 1, budget);
			a = star;
			b = element(other, &x);
			continue;
		}
		if (!*a || !*b)
			return false;
		a = element(a, &x);
		b = element(b, &y);
		if (!sets_meet(&x, &y))
			return false;
	}
}

bool hwalias_overlap(const char *a, const char *b)
{
	unsigned budget = 4000;

	if (strlen(a) > ALIAS_MAX || strlen(b) > ALIAS_MAX)
		return false;
	while (*a == *b && *a && !strchr("*?[", *a))
		a++, b++;
	if (*a && *b && !strchr("*?[", *a) && !strchr("*?[", *b))
		return false;
	return overlap(a, b, &budget);
}
