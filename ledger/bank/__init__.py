"""Our bank accounts: their statements read, matched and booked.

accounts    where they stand in our books
camt053     statements as XML (ISO 20022)
csv_lines   statements as CSV
importing   upload, preview, confirm
matching    which deposit a line is for, by pure scoring
suspense    what becomes of money that is nobody's yet
"""
