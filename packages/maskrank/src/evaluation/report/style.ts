// The report's style sheet. Colours are variables by meaning (figure.ts, Tone), from the Okabe-Ito palette, darkened or
// lightened until they reach a contrast of 3 to 1 on their ground. No fonts, images or imports: the file is complete.

import { CONTOUR_COLOURS } from './contours.ts';

const LIGHT = `
color-scheme:light;
--paper:#fff;--wash:#f4f6f8;--raised:#fff;--ink:#17202a;--soft:#3d4956;--muted:#5d6975;--rule:#dce2e8;--rule-strong:#b6c0ca;
--stage1:#0072b2;--stage2:#cc5500;--truth:#00805c;--control:#75808b;--series-a:#17202a;--series-b:#b04080;--series-c:#8a6d00;--series-d:#00805c;
--better-half:#cc550009;--alarm:#b3261e;--alarm-wash:#fdf0ee;--caution:#8a5a00;--caution-wash:#fdf5e3;--note-wash:#eef4f9;--tip:#17202a;--tip-ink:#fff;--shade:#17202a2e;`;

const DARK = `
color-scheme:dark;
--paper:#11161c;--wash:#181f27;--raised:#1b232c;--ink:#e8edf2;--soft:#c3ccd5;--muted:#97a4b0;--rule:#29323c;--rule-strong:#4a5663;
--stage1:#5ab4ec;--stage2:#ff9a4d;--truth:#3ecb9c;--control:#8d99a5;--series-a:#e8edf2;--series-b:#e58fc0;--series-c:#e3cb55;--series-d:#3ecb9c;
--better-half:#ff9a4d0d;--alarm:#ff8a80;--alarm-wash:#2c1a19;--caution:#f2c062;--caution-wash:#2a2314;--note-wash:#16222d;--tip:#e8edf2;--tip-ink:#11161c;--shade:#000a;`;

const PAGE = `
*{box-sizing:border-box}
html{scroll-behavior:smooth;scroll-padding-top:1.5rem;-webkit-text-size-adjust:100%}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue","Noto Sans",Inter,sans-serif;display:grid;grid-template-columns:212px minmax(0,1fr);overflow-wrap:anywhere}
code,pre,.mono{font-family:ui-monospace,SFMono-Regular,"SF Mono",Menlo,Consolas,"Liberation Mono","DejaVu Sans Mono",monospace;font-size:.86em}
a{color:inherit}
main{padding:2.6rem clamp(1rem,4vw,3.4rem) 5rem;max-width:1180px;min-width:0}
nav{position:sticky;top:0;align-self:start;height:100vh;padding:2.6rem 1rem 1rem 1.6rem;border-right:1px solid var(--rule);display:flex;flex-direction:column;gap:1.2rem;font-size:.875rem;overflow:auto}
nav .brand{font-weight:700;letter-spacing:-.01em;font-size:1rem;display:flex;align-items:center;gap:.5rem}
nav .brand svg{width:22px;height:22px;flex:none}
nav ol{list-style:none;margin:0;padding:0;display:flex;flex-direction:column}
nav li a{display:block;padding:.3rem .7rem;margin-left:-.7rem;border-radius:6px;color:var(--muted);text-decoration:none}
nav li a:hover{color:var(--ink);background:var(--wash)}
nav li a.here{color:var(--ink);font-weight:600}
nav .tools{margin-top:auto}
button{font:inherit;color:inherit}
.quiet{border:1px solid var(--rule);background:none;border-radius:6px;padding:.25rem .7rem;font-size:.8rem;color:var(--muted);cursor:pointer}
.quiet{display:inline-flex;align-items:center;gap:.45rem}.quiet[hidden]{display:none}
.outline{fill:none;stroke:currentColor;stroke-width:1.5}.half{fill:currentColor}
.quiet:hover{color:var(--ink);border-color:var(--rule-strong)}
:focus-visible{outline:2px solid var(--stage1);outline-offset:2px;border-radius:4px}
section{margin-top:4rem}
h1{font-size:clamp(1.4rem,1.05rem + 1.2vw,1.95rem);line-height:1.28;letter-spacing:-.018em;font-weight:650;margin:.6rem 0 .7rem;max-width:30em;text-wrap:pretty}
.aside{color:var(--soft);max-width:78ch;margin:0 0 1.1rem;font-variant-numeric:tabular-nums}
.aside .range{color:var(--muted);white-space:nowrap}
h1 .gain{color:var(--stage2);white-space:nowrap}
h1 .loss{color:var(--alarm);white-space:nowrap}
h1 .number{white-space:nowrap}
h1 .range{font-weight:400;color:var(--muted);white-space:nowrap}
h2{font-size:1.3rem;letter-spacing:-.012em;line-height:1.3;margin:0 0 .3rem;font-weight:650}
h3{font-size:1rem;margin:2rem 0 .5rem;font-weight:650}
.lede{color:var(--soft);max-width:72ch;margin:.2rem 0 1.4rem}
.fine{color:var(--muted);font-size:.84rem;max-width:78ch}
.eyebrow{color:var(--muted);font-size:.875rem;margin:0;overflow-wrap:anywhere}
.eyebrow span+span::before{content:" · "}
.missing{color:var(--muted);border:1px dashed var(--rule-strong);border-radius:8px;padding:1rem 1.2rem;margin:.6rem 0;max-width:78ch}
`;

const HERO = `
.hero{display:grid;grid-template-columns:repeat(auto-fit,minmax(9.5rem,1fr));margin:1.8rem 0 0;border-top:2px solid var(--ink);border-bottom:1px solid var(--rule)}
.stat{padding:.9rem 1rem .9rem 0}
.stat+.stat{padding-left:1rem;border-left:1px solid var(--rule)}
.stat dt{font-size:.8rem;color:var(--muted)}
.stat dd{margin:0}
.stat .big{font-size:1.7rem;line-height:1.25;font-weight:650;letter-spacing:-.02em;font-variant-numeric:tabular-nums;white-space:nowrap}
.stat .unit{font-size:.9rem;font-weight:500;color:var(--muted);letter-spacing:0}
.stat .sub{font-size:.8rem;color:var(--muted);font-variant-numeric:tabular-nums}
.banners{display:grid;gap:.6rem;margin:1.3rem 0 0}
.banner{border-left:4px solid var(--caution);background:var(--caution-wash);padding:.75rem 1rem;border-radius:0 8px 8px 0;max-width:100%}
.banner p{margin:.1rem 0 0;color:var(--soft);max-width:90ch;font-size:.94rem}
.banner b{color:var(--caution)}
.banner.alarm{border-color:var(--alarm);background:var(--alarm-wash)}.banner.alarm b{color:var(--alarm)}
.banner.note{border-color:var(--stage1);background:var(--note-wash)}.banner.note b{color:var(--stage1)}
`;

const TABLES = `
.table{overflow-x:auto;margin:.4rem 0;border-bottom:1px solid var(--rule);background:linear-gradient(270deg,var(--paper) 45%,transparent) right/3rem 100% no-repeat local,linear-gradient(270deg,var(--shade),transparent) right/1.1rem 100% no-repeat scroll}
.table.tall{max-height:30rem;overflow:auto}
table{overflow-wrap:break-word;border-collapse:collapse;width:100%;font-size:.9rem;font-variant-numeric:tabular-nums}
th,td{text-align:left;padding:.5rem .9rem .5rem 0;border-bottom:1px solid var(--rule);vertical-align:top}
thead th{font-size:.8rem;font-weight:600;color:var(--muted);border-bottom:1px solid var(--ink);white-space:nowrap;vertical-align:bottom;line-height:1.35}
thead th .sub{display:inline}
.tall thead th{position:sticky;top:0;background:var(--paper);z-index:1;box-shadow:inset 0 -1px 0 var(--ink);border-bottom:0}
tbody tr:last-child>*{border-bottom:0}
tbody th{font-weight:600}
.num{text-align:right;white-space:nowrap}
th.num,td.num{padding-right:0;padding-left:1.1rem}
.num+:not(.num){padding-left:1.8rem}
.freeze th:first-child:has(.key,.sub){min-width:9.5rem}
.snug{width:fit-content;max-width:100%;min-width:min(100%,30rem)}
td .sub,th .sub{display:block;color:var(--muted);font-size:.8rem;font-weight:400}
td .sd{color:var(--muted);font-size:.86em}
.sort{all:unset;cursor:pointer;box-sizing:border-box;border-radius:3px}
.sort:hover{color:var(--ink)}
.sort:focus-visible{outline:2px solid var(--stage1);outline-offset:2px}
.sort::after{content:"↕";display:inline-block;width:1em;text-align:right;opacity:.35;font-weight:400}
th[aria-sort=ascending] .sort::after{content:"↑";opacity:1;color:var(--ink)}
th[aria-sort=descending] .sort::after{content:"↓";opacity:1;color:var(--ink)}
.key{display:inline-block;width:.7em;height:.7em;border-radius:2px;margin-right:.5em;background:var(--tone)}
.up{color:var(--stage2);font-weight:600}.down{color:var(--stage1);font-weight:600}
.origin{display:inline-block;font-size:.78rem;border:1px solid var(--rule);border-radius:1em;padding:0 .55em;color:var(--muted);overflow-wrap:anywhere}
.origin.set{border-color:var(--stage1);color:var(--stage1)}
td code,tbody th .mono{overflow-wrap:anywhere}
tbody th .mono{display:inline-block;min-width:8rem}
.columns{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,17rem),1fr));gap:0 2.4rem}
.columns h3{margin-top:1rem}
.pairs{display:grid;grid-template-columns:fit-content(14rem) minmax(0,1fr);gap:.35rem 1.4rem;margin:.6rem 0;font-size:.92rem}
.pairs dt{color:var(--muted)}
.pairs dd{margin:0;overflow-wrap:anywhere}
pre{background:var(--wash);border-radius:8px;padding:.9rem 1rem;overflow-x:auto;margin:.6rem 0;line-height:1.5;white-space:pre-wrap;overflow-wrap:anywhere}
details{border-top:1px solid var(--rule);margin-top:1rem}
details summary{cursor:pointer;padding:.7rem 0;font-weight:600;font-size:.94rem}
details summary .sub{font-weight:400;color:var(--muted);font-size:.84rem;margin-left:.5rem}
`;

const CHARTS = `
.tone-stage1{--tone:var(--stage1)}.tone-stage2{--tone:var(--stage2)}.tone-truth{--tone:var(--truth)}.tone-control{--tone:var(--control)}
.tone-series-a{--tone:var(--series-a)}.tone-series-b{--tone:var(--series-b)}.tone-series-c{--tone:var(--series-c)}.tone-series-d{--tone:var(--series-d)}
.charts{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,400px),1fr));gap:2.2rem 2.4rem;align-items:start;margin:1rem 0}
.charts.small{grid-template-columns:repeat(auto-fill,minmax(min(100%,270px),1fr));gap:2rem 1.8rem;align-items:end}
.controls .chart{max-width:36rem}
.controls{margin:1.2rem 0 1.6rem}
.chart{margin:0;container-type:inline-size;min-width:0;max-width:620px}
.chart>svg{display:block;width:100%;height:auto;overflow:visible}
.chart figcaption{display:grid;gap:.1rem;margin-bottom:.5rem}
.chart-title{font-weight:600;font-size:.95rem}
.chart-note{color:var(--muted);font-size:.8rem}
.legend{display:flex;flex-wrap:wrap;gap:.1rem 1rem;font-size:.82rem;color:var(--soft)}
.legend-item{display:inline-flex;align-items:center;gap:.4rem}
.swatch{flex:none}
svg text{font-size:11.5px;fill:var(--muted);font-variant-numeric:tabular-nums}
svg .axis-label{fill:var(--soft)}
svg .row-label{font-size:12.5px;fill:var(--ink);font-weight:600}
svg .row-label,svg .value{paint-order:stroke;stroke:var(--paper);stroke-width:5px;stroke-linejoin:round}
svg .remark{font-weight:400;fill:var(--muted);font-size:11.5px}
svg .value{fill:var(--ink);font-size:12.5px}
@container (max-width:420px){svg text{font-size:13.5px}svg .row-label,svg .value{font-size:14.5px}svg .remark{display:none}}
svg .grid{stroke:var(--rule);stroke-width:1}
svg .axis{stroke:var(--rule-strong);stroke-width:1}
svg .stroke{stroke:var(--tone);stroke-width:2;fill:none;stroke-linejoin:round;stroke-linecap:round}
svg .dashed{stroke-dasharray:6 4}svg .dotted{stroke-dasharray:1 4.5}
svg .band{fill:var(--tone);opacity:.16}
svg .fill{fill:var(--tone)}
svg .ring{fill:none;stroke:var(--tone);stroke-width:1.6}
svg .reference{stroke:var(--muted);stroke-dasharray:3 3;stroke-width:1}
svg .event{stroke:var(--rule-strong);stroke-width:1.2;stroke-dasharray:2 3}
svg .event.alarm{stroke:var(--alarm);stroke-dasharray:none;opacity:.7}
svg .hit{fill:transparent}svg .hit:hover{fill:var(--ink);fill-opacity:.05}
svg .case-dot{fill:var(--tone);opacity:.34}svg .case-dot:hover{opacity:1}
svg .whisker{stroke:var(--tone);stroke-width:1.4}
svg .box{fill:var(--tone);fill-opacity:.14;stroke:var(--tone);stroke-width:1.6}
svg .median{stroke:var(--tone);stroke-width:3}
svg .mean{fill:var(--paper);stroke:var(--tone);stroke-width:1.6;pointer-events:none}
svg .identity{stroke:var(--muted);stroke-width:1.2;stroke-dasharray:5 4}
svg .better-half{fill:var(--better-half)}
svg .pair{stroke-width:1.5}
svg .pair.better{fill:var(--stage2);fill-opacity:.62;stroke:none}
svg .pair.worse{fill:var(--paper);fill-opacity:.6;stroke:var(--stage1)}
svg .pair.unchanged{fill:var(--control);fill-opacity:.55}
svg .pair:hover{stroke:var(--ink);stroke-width:2}
svg .bar{fill:var(--tone);fill-opacity:.75}
svg .bar.hollow{fill-opacity:.16;stroke:var(--tone);stroke-width:1.4}
svg .ci{stroke:var(--ink);stroke-width:1.5;fill:none}
svg .zero{stroke:var(--ink);stroke-width:1.2}
.tip{position:fixed;z-index:9;pointer-events:none;background:var(--tip);color:var(--tip-ink);font-size:.8rem;line-height:1.45;padding:.4rem .6rem;border-radius:6px;white-space:pre-line;max-width:18rem;opacity:0;transition:opacity .08s;left:0;top:0;font-variant-numeric:tabular-nums}
.tip.on{opacity:1}
`;

const CASES = `
.contour{white-space:nowrap}
.contour::before{content:"";display:inline-block;width:1.1em;height:.28em;border-radius:2px;margin-right:.4em;vertical-align:.2em;outline:1px solid var(--rule-strong)}
${Object.entries(CONTOUR_COLOURS)
  .map(([name, rgb]) => `.contour.${name}::before{background:rgb(${rgb.join(' ')})}`)
  .join('')}
.alarm-text{color:var(--alarm)}
.limits{max-width:78ch;padding-left:1.2rem}.limits li{margin:.45rem 0}

.tablist{display:flex;flex-wrap:wrap;gap:.2rem;border-bottom:1px solid var(--rule);margin:1rem 0 1.2rem}
.tablist button{all:unset;cursor:pointer;padding:.45rem .9rem;font-size:.92rem;color:var(--muted);border-bottom:2px solid transparent;margin-bottom:-1px}
.tablist button:hover{color:var(--ink)}
.tablist button[aria-selected=true]{color:var(--ink);font-weight:600;border-color:var(--stage2)}
.tablist button:focus-visible{outline:2px solid var(--stage1);outline-offset:-2px}
.js .panel>h3{display:none}
.case{border-top:1px solid var(--rule);padding:1.1rem 0 1.5rem}
.case:first-of-type{border-top:0;padding-top:.2rem}
.case header{display:flex;flex-wrap:wrap;align-items:baseline;gap:.1rem 1rem;margin-bottom:.7rem}
.case header h4{margin:0;font-size:.98rem;font-weight:650;overflow-wrap:anywhere}
.case header .scores{color:var(--soft);font-size:.9rem;font-variant-numeric:tabular-nums}
.tiles{display:grid;grid-template-columns:repeat(4,minmax(0,1fr));gap:.8rem;max-width:900px}
.tiles.ranked{margin-top:1rem}
.sheet{max-width:900px}
.tiles-title{font-size:.84rem;color:var(--muted);margin:1.1rem 0 -.5rem}
.tile{margin:0;min-width:0}
.tile .zoom{all:unset;display:block;cursor:zoom-in;width:100%;border-radius:6px;overflow:hidden;background:#0b0e12}
.tile .zoom:focus-visible{outline:2px solid var(--stage1);outline-offset:2px}
.tile img{display:block;width:100%;height:auto;image-rendering:auto}
.tile figcaption{font-size:.82rem;line-height:1.4;color:var(--soft);margin-top:.35rem;font-variant-numeric:tabular-nums;overflow-wrap:anywhere}
.tile .sub{color:var(--muted);display:block}
.rank{display:inline-grid;place-items:center;min-width:1.45em;height:1.45em;border-radius:99px;background:var(--wash);border:1px solid var(--rule);font-weight:650;margin-right:.4em;font-size:.95em}
.rank.first{background:var(--stage2);border-color:var(--stage2);color:var(--paper)}
dialog{border:0;padding:0;background:none;max-width:94vw;max-height:94vh;color:#fff}
dialog::backdrop{background:#000c}
dialog img{display:block;width:min(88vw,84vh,900px);height:auto;max-height:84vh;object-fit:contain;background:#0b0e12;border-radius:6px}
dialog p{margin:.5rem 0 0;font-size:.9rem;text-align:center}
`;

const NARROW = `
@media (max-width:900px){
body{display:block}
html{scroll-padding-top:4rem}
nav{position:sticky;top:0;height:auto;flex-direction:row;align-items:center;gap:.8rem;padding:.55rem 1rem;border-right:0;border-bottom:1px solid var(--rule);background:var(--paper);z-index:5;overflow:visible}
nav ol{flex-direction:row;overflow-x:auto;scrollbar-width:none;flex:1;min-width:0;mask-image:linear-gradient(90deg,#000 90%,#0000)}
nav li a{white-space:nowrap;margin:0;padding:.3rem .55rem}
nav .tools{margin:0}nav .brand span,.quiet span{display:none}
main{padding-top:1.4rem}
section{margin-top:3rem}
}
@media (max-width:600px){
.tiles{grid-template-columns:repeat(2,minmax(0,1fr));gap:.7rem}
.hero{grid-template-columns:repeat(2,minmax(0,1fr))}
.stat{padding:.7rem .6rem .7rem 0}.stat+.stat{padding-left:0;border-left:0}
.stat:nth-child(even){padding-left:.9rem;border-left:1px solid var(--rule)}
.stat:nth-child(n+3){border-top:1px solid var(--rule)}
.stat:last-child:nth-child(odd){grid-column:1/-1}
.stat .big{font-size:1.4rem}
.pairs{grid-template-columns:1fr;gap:0}.pairs dd{margin-bottom:.5rem}
.table td:first-child code{display:inline-block;min-width:12rem}
.table.freeze th:first-child{position:sticky;left:0;background:var(--paper);z-index:2;max-width:9.5rem;white-space:normal}
}
`;

const PRINT = `
@media print{
body{display:block;font-size:10.5pt}
nav,.tablist,dialog,.tip{display:none!important}
main{max-width:none;padding:0}
section{margin-top:1.6rem}
h2,h3,.case header{break-after:avoid}
.chart,.case,.banner,tr{break-inside:avoid}
.panel[hidden]{display:block!important}
.js .panel>h3{display:block}
.table,.table.tall{overflow:visible;max-height:none}
.tall thead th{position:static}
thead{display:table-row-group}
.table,.table.tall{background:none}
.sort::after{content:none}
.charts{grid-template-columns:1fr 1fr}
*{print-color-adjust:exact;-webkit-print-color-adjust:exact}
}
@media (prefers-reduced-motion:reduce){html{scroll-behavior:auto}.tip{transition:none}}
`;

/** Everything between <style> and </style>. Paper is always light. */
export const STYLE = `:root{${LIGHT}}
@media screen and (prefers-color-scheme:dark){:root:not([data-theme=light]){${DARK}}}
@media screen{:root[data-theme=dark]{${DARK}}}
${PAGE}${HERO}${TABLES}${CHARTS}${CASES}${NARROW}${PRINT}`;
