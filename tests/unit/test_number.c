/* SPDX-License-Identifier: MIT */
#include "cmocka_api.h"

#include "ipcfs/number.h"

#include <errno.h>
#include <string.h>

static void assert_digits(const char *digits, unsigned base, uint64_t max, int error, uint64_t number)
{
    uint64_t found = 77;
    assert_int_equal(parse_digits(digits, strlen(digits), base, max, &found), error);
    if (!error)
        assert_true(found == number);
}

static void test_digits(void **state)
{
    (void)state;
    assert_digits("0", 10, UINT64_MAX, 0, 0);
    assert_digits("007", 10, 7, 0, 7);
    assert_digits("777", 8, 0777, 0, 0777);
    assert_digits("18446744073709551615", 10, UINT64_MAX, 0, UINT64_MAX);
    static const char *const wrong[] = {"", "8", "-1", "+1", " 1", "1 ", "1\n", "0x1", "1a", "/", ":"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_digits(wrong[i], 8, UINT64_MAX, -EINVAL, 0);
    uint64_t number = 0;
    assert_int_equal(parse_digits("123", 2, 10, 100, &number), 0); /* no further than it is long */
    assert_true(number == 12);
}

static void test_digits_too_many(void **state)
{
    (void)state;
    assert_digits("18446744073709551616", 10, UINT64_MAX, -ERANGE, 0);
    assert_digits("99999999999999999999999999", 10, UINT64_MAX, -ERANGE, 0);
    assert_digits("255", 10, 255, 0, 255);
    assert_digits("256", 10, 255, -ERANGE, 0);
    assert_digits("1000", 8, 0777, -ERANGE, 0);
    assert_digits("4", 10, 3, -ERANGE, 0); /* one digit above all there may be */
}

static void test_canonical(void **state)
{
    (void)state;
    int64_t number = 0;
    assert_true(parse_canonical("0", &number) && number == 0);
    assert_true(parse_canonical("-7", &number) && number == -7);
    assert_true(parse_canonical("9223372036854775807", &number) && number == INT64_MAX);
    assert_true(parse_canonical("-9223372036854775808", &number) && number == INT64_MIN);
    static const char *const wrong[] = {"",
                                        "-",
                                        "00",
                                        "01",
                                        "-0",
                                        "+1",
                                        " 1",
                                        "1 ",
                                        "1x",
                                        "x",
                                        "0x1",
                                        "9223372036854775808",
                                        "-9223372036854775809"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_false(parse_canonical(wrong[i], &number));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_digits),
        cmocka_unit_test(test_digits_too_many),
        cmocka_unit_test(test_canonical),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
