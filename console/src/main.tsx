import { render } from "preact";
import { App } from "./app";
import { listen } from "./events";
import "./style.css";

listen();
render(<App />, document.getElementById("app")!);
