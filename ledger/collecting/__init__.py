"""Collectors take deposits for us (cards, PayPal), owe us what came, and take back what a client's bank demands.

port.py           what every collector can be asked, and what it tells
stripe_cards.py   Stripe: payment intents
paypal_orders.py  PayPal: orders, captured when the client has approved
offers.py         which collector takes a method in a currency here, if any
accounts.py       where collectors stand in our books
taking.py         a deposit begun with its collector, asked about, completed
told.py           a collector's events: verified, stored once, applied in any order
"""
