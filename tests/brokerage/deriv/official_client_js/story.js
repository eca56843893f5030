// A trading session with Deriv's own client, unchanged. Arguments: generation, address of a socket, token (v3 only).
// Writes one JSON object to standard output: what it saw, and every frame.
const WebSocket = require('ws');
const DerivAPI = require('@deriv/deriv-api/dist/DerivAPI');

const [generation, address, token] = process.argv.slice(2);
const SYMBOL = '1HZ100V';
const TERMS = {
    contract_type: 'CALL', currency: 'USD', amount: 10, basis: 'stake', duration: 1, duration_unit: 't',
    [generation === 'v3' ? 'symbol' : 'underlying_symbol']: SYMBOL,
};
const frames = { send: [], message: [] };

/** The frames of a stream until one fits; then the client forgets the stream. */
function until(observable, fits) {
    return new Promise((resolve, reject) => {
        const seen = [];
        const watching = observable.subscribe((frame) => {
            seen.push(frame);
            if (fits(frame, seen)) {
                resolve(seen);
                setImmediate(() => watching.unsubscribe());
            }
        }, reject);
    });
}

async function trade() {
    const connection = new WebSocket(address);
    connection.on('message', (text) => frames.message.push(JSON.parse(text)));
    const send = connection.send.bind(connection);
    connection.send = (text) => { frames.send.push(JSON.parse(text)); send(text); };
    const api = new DerivAPI({ connection });
    const basic = api.basic;
    const seen = {};
    if (generation === 'v3') seen.login_id = (await basic.authorize(token)).authorize.loginid;
    seen.ping = (await basic.ping()).ping;
    seen.time = (await basic.time()).time;

    if (generation === 'v3') {
        const ticks = await api.ticks(SYMBOL);
        const quotes = [];
        await new Promise((resolve) => ticks.onUpdate((tick) => {
            quotes.push(tick.quote.value);
            if (quotes.length === 3) resolve();
        }));
        seen.ticks = quotes.slice(0, 3);
    } else {
        const ticks = await until(basic.subscribe({ ticks: SYMBOL }), (frame, all) => all.length === 3);
        seen.ticks = ticks.map((frame) => frame.tick.quote);
    }

    // Its own method for a price insists on v3's field for the symbol; what sends anything does not.
    const { proposal } = await basic.send({ proposal: 1, ...TERMS });
    const { buy } = await basic.buy({ buy: proposal.id, price: proposal.ask_price });
    const states = await until(
        basic.subscribe({ proposal_open_contract: 1, contract_id: buy.contract_id }),
        (frame) => frame.proposal_open_contract.is_sold === 1,
    );
    seen.settled = states[states.length - 1].proposal_open_contract;
    if (generation === 'v3') {
        const contract = await api.contract({ ...TERMS });
        // It is followed before it is bought, so that its end cannot be missed.
        const sold = new Promise((resolve) => {
            contract.onUpdate((state) => { if (state.is_sold) resolve(); });
        });
        await contract.buy();
        await sold;
        seen.second = contract.id;
    }
    seen.balance = (await basic.balance()).balance;
    try {
        await basic.buy({ buy: proposal.id, price: 10 });
    } catch (refused) {
        seen.used_proposal = refused.error.code;
    }
    connection.close();
    return seen;
}

const late = setTimeout(() => { throw new Error('the session takes too long'); }, 40000);
trade().then(
    (seen) => {
        clearTimeout(late);
        process.stdout.write(JSON.stringify({ seen, frames }), () => process.exit(0));
    },
    (problem) => {
        process.stderr.write(`${problem.stack || JSON.stringify(problem)}\n`, () => process.exit(1));
    },
);
