// SPDX-License-Identifier: GPL-2.0-or-later

#include "unit.h"

#include "formats/hwalias.h"

/* Aliases as a Debian kernel's modules have them, one of each bus. */
static void words(void **state)
{
	static const struct {
		const char *alias, *meaning;
	} cases[] = {
		{"pci:v00008086d000010D3sv*sd*bc*sc*i*", "PCI device 8086:10d3"},
		{"pci:v00008086d*sv*sd*bc04sc03i*", "PCI device 8086:*, class 04:03"},
		{"pci:v*d*sv*sd*bc0Csc03i30*", "PCI class 0c:03, interface 30"},
		{"pci:v*d*sv*sd*bc*sc*i*", "PCI: every device"},
		{"usb:v0BDAp8153d*dc*dsc*dp*ic*isc*ip*in*", "USB device 0bda:8153"},
		{"usb:v*p*d*dc*dsc*dp*ic08isc06ip50in*",
			"USB interface class 08, subclass 06, protocol 50"},
		{"hid:b0003g*v0000046Dp0000C52B", "HID bus 0003, device 046d:c52b"},
		{"virtio:d00000001v*", "virtio device 0001"},
		{"of:N*T*Cbrcm,bcm2835-i2c", "device tree brcm,bcm2835-i2c"},
		{"of:N*T*Cbrcm,bcm2835-i2cC*", "device tree brcm,bcm2835-i2c"},
		{"acpi*:PNP0C0A:*", "ACPI device PNP0C0A"},
		{"platform:coretemp", "platform device coretemp"},
		{"dmi*:svn*ASUSTeK*:pn*EeePC*:",
			"machine with vendor ASUSTeK, product EeePC"},
		{"devname:fuse", "device node /dev/fuse"},
		{"fs-ext4", "file system ext4"},
		{"crypto-sha256", "crypto algorithm sha256"},
		{"something else", "something else"},
		{"pci:nonsense", "pci:nonsense"},
		{"", ""},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct buf b = {0};

		hwalias_describe(cases[i].alias, &b);
		buf_char(&b, '\0');
		assert_string_equal(b.data, cases[i].meaning);
		buf_done(&b);
	}
}

static void patterns(void **state)
{
	static const struct {
		const char *a, *b;
		bool meet;
	} cases[] = {
		{"abc", "abc", true},
		{"abc", "abd", false},
		{"abc", "ab", false},
		{"a*", "abc", true},
		{"a*c", "*b*", true},
		{"a*c", "b*", false},
		{"a?c", "abc", true},
		{"a?c", "ac", false},
		{"a[0-9]", "a5", true},
		{"a[0-9]", "a[5-7]", true},
		{"a[0-4]", "a[5-7]", false},
		{"a[0-4", "a[0-4", true},
		{"a[xyz-]", "a-", true},
		{"a[xyz]b", "a?b", true},
		{"a[xyz]b", "aab", false},
		{"*[a-c]", "x[c-d]", true},
		{"\xc3\xa4", "\xc3?", true},
		{"*", "", true},
		{"", "", true},
		{"pci:v00008086d00001234sv*sd*bc*sc*i*", "pci:v00008086d*sv*sd*bc02sc*i*",
			true},
		{"pci:v00008086d00001234sv*sd*bc*sc*i*", "pci:v00008087d*sv*sd*bc02sc*i*",
			false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(hwalias_overlap(cases[i].a, cases[i].b), cases[i].meet);
		assert_int_equal(hwalias_overlap(cases[i].b, cases[i].a), cases[i].meet);
	}
	/* many stars take no time */
	assert_false(hwalias_overlap(
		"*a*a*a*a*a*a*a*a*a*a*a*b", "*c*c*c*c*c*c*c*c*c*c*c*c*c*d"));
	assert_false(hwalias_overlap(
		"*********:*********pci:v0[D3sv", "*0*0*0*0*0*0*0*0*0*0*0*0*0*0*0*0*z"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words),
		cmocka_unit_test(patterns),
	};

	return RUN(tests);
}
