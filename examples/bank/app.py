"""The bank as a whole: `eventcore --app examples.bank.app:app …`."""

from eventcore.app import App
from examples.bank.account import accounts
from examples.bank.balances import balances
from examples.bank.conservation import money_is_conserved
from examples.bank.transfer import transfers

app = App("bank", [accounts], projections=[balances], sagas=[transfers], invariants=[money_is_conserved])
