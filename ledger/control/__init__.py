"""Control of the books: what must be true is checked, days are closed, and every figure can be explained.

totals       what stood on a book at the end of a day, from what a close kept and what was booked since
closing      close a day for good, and reopen the last one
assertions   what somebody says an account stands at, held against the books
invariants   what must hold, checked by the clock; who breaks it, and since when
balance_sheet, client_money   reports of a book
explain      from a figure to the entries behind it, and to who caused each and why
beancount    the books as text that another program checks
"""
