// SPDX-License-Identifier: GPL-2.0-or-later

#include "unit.h"

#include <limits.h>

#include "formats/lists.h"
#include "formats/symvers.h"

static int take_line(void *arg, const char *line, size_t len)
{
	buf_add(arg, line, len);
	buf_char(arg, '|');
	return 0;
}

static int take_bad(void *arg, const char *line, size_t len)
{
	buf_char(arg, '!');
	return take_line(arg, line, len);
}

static int stop(void *arg, const char *line, size_t len)
{
	(void)arg, (void)line, (void)len;
	return -ENOMEM;
}

static void order(const char *text, size_t len, int r, unsigned line, const char *want)
{
	char *copy = exact(text, len);
	struct buf b = {0};
	unsigned number = 0;

	assert_int_equal(lists_order(copy, len, take_line, &b, &number), r);
	assert_int_equal(number, line);
	assert_text(&b, want);
	buf_done(&b);
	free(copy);
}

static void modules_order(void **state)
{
	char longest[PATH_MAX + 1];

	(void)state;
	order(BYTES(""), 0, 0, "");
	order(BYTES("a.ko\n"), 0, 0, "a.ko|");
	order(BYTES("a.ko\n\nb.ko\n"), 0, 0, "a.ko||b.ko|");
	order(BYTES("a.ko"), -EBADMSG, 1, "");
	order(BYTES("a.ko\nb.ko"), -EBADMSG, 2, "");
	order(BYTES("a.ko\nb\0c\n"), -EBADMSG, 2, "");
	memset(longest, 'x', sizeof(longest));
	longest[PATH_MAX - 2] = '\n';
	assert_int_equal(
		lists_order(longest, PATH_MAX - 1, stop, NULL, &(unsigned){0}), -ENOMEM);
	longest[PATH_MAX - 2] = 'x';
	longest[PATH_MAX - 1] = '\n';
	order(longest, PATH_MAX, -EBADMSG, 1, "");
}

static void builtin(const char *text, size_t len, const char *want)
{
	char *copy = exact(text, len);
	struct buf b = {0};

	assert_int_equal(lists_builtin(copy, len, take_line, take_bad, &b), 0);
	assert_text(&b, want);
	buf_done(&b);
	free(copy);
}

static void modules_builtin(void **state)
{
	(void)state;
	builtin(BYTES(""), "");
	builtin(BYTES("kernel/a-b.ko\nkernel/c.d.ko\n"), "a_b|c|");
	builtin(BYTES("kernel/a.ko"), "a|");
	builtin(BYTES("x.ko\n"), "x|");
	builtin(BYTES("\n/x.ko\n9p.ko\nk/y.ko\n"), "!\n|!/x.ko\n|!9p.ko\n|y|");
	builtin(BYTES("kernel/\0.ko\nk/y.ko\n"), "y|");
	assert_int_equal(lists_builtin(BYTES("k/a.ko\n"), stop, take_bad, NULL), -ENOMEM);
	assert_int_equal(lists_builtin(BYTES("\n"), take_line, stop, NULL), -ENOMEM);
}

static int take_alias(
	void *arg, const char *module, size_t module_len, const char *alias, size_t len)
{
	buf_add(arg, module, module_len);
	buf_char(arg, '=');
	return take_line(arg, alias, len);
}

static void aliases(const char *text, size_t len, const char *want)
{
	char *copy = exact(text, len);
	struct buf b = {0};

	assert_int_equal(lists_builtin_aliases(copy, len, take_alias, &b), 0);
	assert_text(&b, want);
	buf_done(&b);
	free(copy);
}

static void modules_builtin_modinfo(void **state)
{
	static const char all[] = "a.license=GPL\0a.alias=one\0b.alias=t=w.o\0";

	(void)state;
	aliases(BYTES(""), "");
	aliases(all, sizeof(all) - 1, "a=one|b=t=w.o|");
	aliases(BYTES("a.alias=\0b.alias=x\0"), "b=x|");
	aliases(BYTES("noalias\0b.alias=x\0"), "b=x|");
	aliases(BYTES("a.aliases=y\0b.alia=z\0b.alias=x\0"), "b=x|");
	aliases(BYTES("a.alias=cut"), "");
	/* however it is cut, nothing beyond its end is looked at, and no value is cut */
	for (size_t n = 0; n < sizeof(all) - 1; n++)
		aliases(all, n, n < 26 ? "" : n < 40 ? "a=one|" : "a=one|b=t=w.o|");
}

static int take_symbol(void *arg, const char *name, size_t len, uint32_t crc)
{
	buf_printf(arg, "%.*s %x|", (int)len, name, crc);
	return 0;
}

static void take_bad_symbol(void *arg, unsigned line, const char *text)
{
	buf_printf(arg, "!%u %s|", line, text);
}

static void symbols(const char *text, size_t len, const char *symvers, const char *sysmap,
	char prefix)
{
	char *copy = exact(text, len);
	struct buf b = {0};

	if (symvers) {
		assert_int_equal(
			symvers_parse(copy, len, take_symbol, take_bad_symbol, &b), 0);
		assert_text(&b, symvers);
	}
	if (sysmap) {
		assert_int_equal(
			sysmap_parse(copy, len, prefix, take_symbol, take_bad_symbol, &b),
			0);
		assert_text(&b, sysmap);
	}
	buf_done(&b);
	free(copy);
}

static void module_symvers(void **state)
{
	(void)state;
	symbols(BYTES(""), "", "", 0);
	symbols(BYTES("0x12345678\tprintk\tvmlinux\tEXPORT_SYMBOL\t\n"
		      "0xfedcba98 other drivers/x EXPORT_SYMBOL\n"
		      "ff kfree vmlinux\tx"),
		"printk 12345678|kfree ff|", NULL, 0);
	symbols(BYTES("0xZ printk vmlinux x\n\nword\nx y\n0x1 no vmlinux\n0x1 ok vmlinux "
		      "x\n"),
		"!1 0xZ|ok 1|", NULL, 0);
}

static void system_map(void **state)
{
	(void)state;
	symbols(BYTES("ffff T printk\nffff r __ksymtab_printk\nffff r __ksymtab_gpl\n"),
		NULL, "printk 0|gpl 0|", 0);
	symbols(BYTES("ffff r ___ksymtab__x\nffff r __ksymtab_y\n"), NULL, "_x 0|", '_');
	symbols(BYTES("word\nffff r __ksymtab_y"), NULL, "!1 word|y 0|", 0);
}

static void long_lines(void **state)
{
	struct buf text = {0}, b = {0};

	(void)state;
	buf_lit(&text, "0x1 ");
	for (unsigned i = 0; i < 50000; i++)
		buf_char(&text, 'n');
	buf_lit(&text, " vmlinux x\n0x2 next vmlinux x\n");
	assert_int_equal(
		symvers_parse(text.data, text.len, take_symbol, take_bad_symbol, &b), 0);
	assert_text(&b, "next 2|");
	buf_done(&text);
	buf_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(modules_order),
		cmocka_unit_test(modules_builtin),
		cmocka_unit_test(modules_builtin_modinfo),
		cmocka_unit_test(module_symvers),
		cmocka_unit_test(system_map),
		cmocka_unit_test(long_lines),
	};

	return RUN(tests);
}
