/* snprintf: numbers and texts as C prints them. */
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct output {
	char *to;
	size_t size, length;
} output;

/* One conversion: `%` flags, width, precision. */
typedef struct spec {
	bool left, sign, space, alternative, zeros;
	int width, precision; /* no precision is -1 */
} spec;

static void put(output *out, const char *bytes, size_t count)
{
	if (out->length < out->size) {
		size_t room = out->size - out->length;
		memcpy(out->to + out->length, bytes, count < room ? count : room);
	}
	out->length += count;
}

static void repeat(output *out, char byte, int count)
{
	for (; count > 0; count--)
		put(out, &byte, 1);
}

/* A number's sign or 0x, zeros and digits, filled up to the width. */
static void put_number(output *out, const spec *spec, const char *prefix, int zeros, const char *digits, int count)
{
	int length = (int)strlen(prefix) + zeros + count;
	int filling = spec->width > length ? spec->width - length : 0;
	if (!spec->left && !spec->zeros)
		repeat(out, ' ', filling);
	put(out, prefix, strlen(prefix));
	if (!spec->left && spec->zeros)
		repeat(out, '0', filling);
	repeat(out, '0', zeros);
	put(out, digits, (size_t)count);
	if (spec->left)
		repeat(out, ' ', filling);
}

static const char *sign_of(const spec *spec, bool negative)
{
	return negative ? "-" : spec->sign ? "+" : spec->space ? " " : "";
}

static bool is_upper(char as)
{
	return as >= 'A' && as <= 'Z';
}

static void put_integer(output *out, spec spec, uint64_t value, char as, bool negative)
{
	char digits[22];
	int at = sizeof(digits);
	unsigned base = as == 'o' ? 8 : as == 'x' || as == 'X' ? 16 : 10;
	const char *names = as == 'X' ? "0123456789ABCDEF" : "0123456789abcdef";
	const char *prefix = as == 'd' ? sign_of(&spec, negative) : "";
	if (spec.alternative && base == 16 && value)
		prefix = as == 'X' ? "0X" : "0x";
	for (; value; value /= base)
		digits[--at] = names[value % base];
	int count = (int)sizeof(digits) - at;
	int least = spec.precision < 0 ? 1 : spec.precision;
	if (spec.alternative && base == 8 && least <= count)
		least = count + 1;
	if (spec.precision >= 0)
		spec.zeros = false;
	put_number(out, &spec, prefix, count < least ? least - count : 0, digits + at, count);
}

/* A float's exact decimal digits, of which those from `point` on are behind the point. */
typedef struct decimal {
	int point, count;
	char digits[1100 + 330];
} decimal;

#define LIMB 1000000000u

static void decimal_of(decimal *to, double value)
{
	/* Nine digits a limb; the last of the whole number's limbs is at WHOLE - 1. */
	enum { WHOLE = 36, LIMBS = WHOLE + 121 };
	uint32_t limbs[LIMBS] = { 0 };
	uint64_t bits;
	memcpy(&bits, &value, sizeof(bits));
	int exponent = (int)(bits >> 52 & 0x7ff);
	uint64_t mantissa = (bits & (UINT64_C(1) << 52) - 1) | (exponent ? UINT64_C(1) << 52 : 0);
	exponent = (exponent ? exponent : 1) - 1075;
	int first = WHOLE - 2, end = WHOLE;
	limbs[WHOLE - 2] = (uint32_t)(mantissa / LIMB);
	limbs[WHOLE - 1] = (uint32_t)(mantissa % LIMB);
	while (exponent > 0) {
		int shift = exponent < 29 ? exponent : 29;
		uint64_t carry = 0;
		for (int i = end - 1; i >= first; i--) {
			carry += (uint64_t)limbs[i] << shift;
			limbs[i] = (uint32_t)(carry % LIMB);
			carry /= LIMB;
		}
		if (carry)
			limbs[--first] = (uint32_t)carry;
		exponent -= shift;
	}
	while (exponent < 0) {
		int shift = -exponent < 9 ? -exponent : 9;
		uint32_t carry = 0;
		for (int i = first; i < end; i++) {
			uint32_t rest = limbs[i] & ((1u << shift) - 1);
			limbs[i] = (limbs[i] >> shift) + carry;
			carry = (LIMB >> shift) * rest;
		}
		if (carry)
			limbs[end++] = carry;
		exponent += shift;
	}
	to->point = (WHOLE - first) * 9;
	to->count = 0;
	for (int i = first; i < end; i++) {
		uint32_t limb = limbs[i];
		for (int digit = 8; digit >= 0; digit--, limb /= 10)
			to->digits[to->count + digit] = (char)('0' + limb % 10);
		to->count += 9;
	}
	int zeros = 0;
	while (zeros < to->count && to->digits[zeros] == '0')
		zeros++;
	memmove(to->digits, to->digits + zeros, (size_t)(to->count - zeros));
	to->count -= zeros;
	to->point = to->count ? to->point - zeros : 1;
}

/* Keeps so many digits, rounded to the nearest, and of two as near the even one. */
static void round_to(decimal *of, int keep)
{
	if (keep >= of->count)
		return;
	bool up = false;
	if (keep >= 0) {
		bool more = false;
		for (int i = keep + 1; i < of->count; i++)
			more = more || of->digits[i] != '0';
		bool odd = keep > 0 && (of->digits[keep - 1] & 1);
		up = of->digits[keep] > '5' || (of->digits[keep] == '5' && (more || odd));
	}
	of->count = keep > 0 ? keep : 0;
	int at = of->count;
	while (up && at > 0 && of->digits[at - 1] == '9')
		of->digits[--at] = '0';
	if (up && at > 0) {
		of->digits[at - 1]++;
	} else if (up) {
		memmove(of->digits + 1, of->digits, (size_t)of->count);
		of->digits[0] = '1';
		of->count++;
		of->point++;
	}
}

static char digit(const decimal *of, int at)
{
	return at >= 0 && at < of->count ? of->digits[at] : '0';
}

/* Returns how many bytes it takes. */
static int put_exponent(char *to, char letter, int exponent, int least)
{
	char digits[4];
	int count = 0, length = 0;
	unsigned size = (unsigned)(exponent < 0 ? -exponent : exponent);
	for (; size || count < least; size /= 10)
		digits[count++] = (char)('0' + size % 10);
	to[length++] = letter;
	to[length++] = exponent < 0 ? '-' : '+';
	while (count)
		to[length++] = digits[--count];
	return length;
}

/* 0x1.8p+0: thirteen digits behind the point are all that there are. */
static void put_hexadecimal(output *out, const spec *spec, double value, bool negative, bool upper)
{
	uint64_t bits;
	memcpy(&bits, &value, sizeof(bits));
	int exponent = (int)(bits >> 52), precision = spec->precision;
	uint64_t digits = (bits & (UINT64_C(1) << 52) - 1) | (exponent ? UINT64_C(1) << 52 : 0);
	exponent = !digits ? 0 : exponent ? exponent - 1023 : -1022;
	if (precision < 0)
		for (precision = 13; precision > 0 && !(digits >> (4 * (13 - precision)) & 15);)
			precision--;
	if (precision < 13) {
		/* To the nearest, and of two as near to the even one. */
		int left_out = 4 * (13 - precision);
		uint64_t half = UINT64_C(1) << (left_out - 1), odd = digits >> left_out & 1;
		digits = (digits + half - 1 + odd) >> left_out << left_out;
	}

	const char *names = upper ? "0123456789ABCDEF" : "0123456789abcdef";
	char text[32], prefix[4];
	int length = 0, zeros = precision > 13 ? precision - 13 : 0;
	text[length++] = names[digits >> 52];
	if (precision || spec->alternative)
		text[length++] = '.';
	for (int i = 1; i <= precision - zeros; i++)
		text[length++] = names[digits >> (52 - 4 * i) & 15];

	char tail[8];
	int tail_length = put_exponent(tail, upper ? 'P' : 'p', exponent, 1);
	snprintf(prefix, sizeof(prefix), "%s%s", sign_of(spec, negative), upper ? "0X" : "0x");
	/* Zeros behind the digits are put one by one: there may be many. */
	int filling = spec->width - (int)strlen(prefix) - length - zeros - tail_length;
	if (!spec->left && !spec->zeros)
		repeat(out, ' ', filling);
	put(out, prefix, strlen(prefix));
	if (!spec->left && spec->zeros)
		repeat(out, '0', filling);
	put(out, text, (size_t)length);
	repeat(out, '0', zeros);
	put(out, tail, (size_t)tail_length);
	if (spec->left)
		repeat(out, ' ', filling);
}

static void put_float(output *out, spec spec, double value, char as)
{
	bool negative = __builtin_signbit(value);
	if (!__builtin_isfinite(value)) {
		spec.zeros = false;
		const char *name = __builtin_isnan(value) ? "nanNAN" : "infINF";
		put_number(out, &spec, sign_of(&spec, negative), 0, name + (is_upper(as) ? 3 : 0), 3);
		return;
	}
	if (as == 'a' || as == 'A') {
		put_hexadecimal(out, &spec, negative ? -value : value, negative, as == 'A');
		return;
	}
	static decimal number;
	decimal_of(&number, negative ? -value : value);
	int precision = spec.precision < 0 ? 6 : spec.precision > 1100 ? 1100 : spec.precision;
	bool scientific = as == 'e' || as == 'E', shortest = as == 'g' || as == 'G';
	if (shortest) {
		precision = precision ? precision : 1;
		round_to(&number, precision);
		scientific = number.point - 1 < -4 || number.point - 1 >= precision;
		precision = scientific ? precision - 1 : precision - number.point;
		if (!spec.alternative)
			while (precision > 0 && digit(&number, precision + (scientific ? 1 : number.point) - 1) == '0')
				precision--;
	} else {
		round_to(&number, precision + (scientific ? 1 : number.point));
	}

	static char text[330 + 1100 + 16];
	int length = 0, whole = scientific ? 1 : number.point;
	for (int i = whole < 1 ? whole - 1 : 0; i < whole; i++)
		text[length++] = digit(&number, i);
	if (whole < 1)
		text[0] = '0', length = 1;
	if (precision || spec.alternative)
		text[length++] = '.';
	for (int i = whole; i < whole + precision; i++)
		text[length++] = digit(&number, i);
	if (scientific)
		length += put_exponent(text + length, is_upper(as) ? 'E' : 'e', number.count ? number.point - 1 : 0, 2);
	put_number(out, &spec, sign_of(&spec, negative), 0, text, length);
}

static void put_text(output *out, const spec *spec, const char *text)
{
	size_t length = 0, most = spec->precision < 0 ? SIZE_MAX : (size_t)spec->precision;
	while (length < most && text[length])
		length++;
	int filling = spec->width > (int)length ? spec->width - (int)length : 0;
	if (!spec->left)
		repeat(out, ' ', filling);
	put(out, text, length);
	if (spec->left)
		repeat(out, ' ', filling);
}

static const char *flags(spec *spec, const char *at)
{
	for (;; at++) {
		switch (*at) {
		case '-': spec->left = true; break;
		case '+': spec->sign = true; break;
		case ' ': spec->space = true; break;
		case '#': spec->alternative = true; break;
		case '0': spec->zeros = true; break;
		default: return at;
		}
	}
}

/* A width or a precision: digits; `*` is up to the caller. */
static const char *number(int *to, const char *at)
{
	for (*to = 0; *at >= '0' && *at <= '9' && *to < 100000; at++)
		*to = *to * 10 + (*at - '0');
	return at;
}

int vsnprintf(char *to, size_t size, const char *format, va_list arguments)
{
	output out = { to, size ? size - 1 : 0, 0 };
	while (*format) {
		size_t plain = 0;
		while (format[plain] && format[plain] != '%')
			plain++;
		put(&out, format, plain);
		format += plain;
		if (!*format)
			break;

		spec spec = { .precision = -1 };
		format = flags(&spec, format + 1);
		if (*format == '*') {
			spec.width = va_arg(arguments, int);
			if (spec.width < 0)
				spec.left = true, spec.width = -spec.width;
			format++;
		} else {
			format = number(&spec.width, format);
		}
		if (*format == '.' && format[1] == '*') {
			spec.precision = va_arg(arguments, int);
			format += 2;
		} else if (*format == '.') {
			format = number(&spec.precision, format + 1);
		}
		int longs = 0, shorts = 0;
		bool is_long_double = false;
		for (; *format && strchr("hlzjtL", *format); format++) {
			is_long_double = is_long_double || *format == 'L';
			longs += *format == 'j' ? 2 : *format == 'l';
			shorts += *format == 'h';
		}

		char as = *format ? *format++ : '%';
		switch (as) {
		case 'd':
		case 'i': {
			int64_t value = longs > 1 ? va_arg(arguments, int64_t) : va_arg(arguments, int);
			value = shorts == 1 ? (short)value : shorts > 1 ? (signed char)value : value;
			put_integer(&out, spec, value < 0 ? -(uint64_t)value : (uint64_t)value, 'd', value < 0);
			break;
		}
		case 'u':
		case 'x':
		case 'X':
		case 'o': {
			uint64_t value = longs > 1 ? va_arg(arguments, uint64_t) : va_arg(arguments, unsigned);
			value = shorts == 1 ? (unsigned short)value : shorts > 1 ? (unsigned char)value : value;
			put_integer(&out, spec, value, as, false);
			break;
		}
		case 'p':
			spec.alternative = true;
			put_integer(&out, spec, (uintptr_t)va_arg(arguments, void *), 'x', false);
			break;
		case 'f':
		case 'F':
		case 'e':
		case 'E':
		case 'g':
		case 'G':
		case 'a':
		case 'A':
			if (is_long_double)
				abort();
			put_float(&out, spec, va_arg(arguments, double), as);
			break;
		case 'c': {
			char byte = (char)va_arg(arguments, int);
			if (!spec.left)
				repeat(&out, ' ', spec.width - 1);
			put(&out, &byte, 1);
			if (spec.left)
				repeat(&out, ' ', spec.width - 1);
			break;
		}
		case 's': {
			const char *text = va_arg(arguments, const char *);
			put_text(&out, &spec, text ? text : "(null)");
			break;
		}
		case '%':
			put(&out, &as, 1);
			break;
		default:
			abort();
		}
	}
	if (size)
		to[out.length < size ? out.length : size - 1] = 0;
	return (int)out.length;
}

int snprintf(char *to, size_t size, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	int length = vsnprintf(to, size, format, arguments);
	va_end(arguments);
	return length;
}
